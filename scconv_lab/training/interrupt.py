"""Notes the signals that ask a fit to end, for the loop to end between two steps."""

import signal
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.environments import SLURMEnvironment

_BATCHES_BETWEEN_AGREEMENTS = 10
"""Asking the other processes costs each of them a wait, so it is not done every batch."""


class SignalWatch:
    """Takes SIGINT (Ctrl-C), SIGTERM and SIGUSR1 (sent ahead of a time limit by SLURM's ``--signal=USR1@SECONDS``).

    Python and Lightning would act in the middle of a step, where the weights may be half updated. A second signal ends
    the process at once. SIGUSR1 stays with Lightning where its own requeueing under SLURM is on.
    """

    def __init__(self) -> None:
        self.signum = 0
        """The signal that came, of this or another process; 0 if none did."""
        self._before: dict[int, Any] = {}

    def take(self, trainer: Trainer) -> None:
        """Handle the signals from here on; SIGUSR1 only where Lightning does not requeue by it."""
        environment = getattr(trainer.strategy, "cluster_environment", None)
        requeued = isinstance(environment, SLURMEnvironment) and environment.auto_requeue
        ahead = [] if requeued or not hasattr(signal, "SIGUSR1") else [signal.SIGUSR1]  # Windows has none
        for signum in [signal.SIGINT, signal.SIGTERM, *ahead]:
            before = signal.signal(signum, self._note)
            self._before.setdefault(signum, before)

    def give_back(self) -> None:
        """Leave the signals as they were."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.signum = signum
        signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)

    def agreed(self, trainer: Trainer, batch_idx: int = 0) -> int:
        """The signal that came, if all processes know of one by now; asked every ten batches."""
        if trainer.world_size > 1:
            if batch_idx % _BATCHES_BETWEEN_AGREEMENTS:
                return 0
            own = torch.tensor(self.signum, device=trainer.strategy.root_device)
            self.signum = int(trainer.strategy.reduce(own, reduce_op="max"))
        return self.signum
