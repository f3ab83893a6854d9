"""Processes of one run end together."""

import os
import signal
import threading
import time

from lightning.pytorch import Callback, LightningModule, Trainer

_SECONDS_BETWEEN_LOOKS = 1.0


class EndTogether(Callback):
    """Ends the other processes of a run when one of them dies or fails.

    Lightning starts the others from the first one, and by itself watches them alone: the first process is killed within
    five seconds of another's failure. Here the others watch the first, and a first process that fails ends them before
    it says why, so that it is not killed while it does.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Watch the process that started this one, if it was Lightning's."""
        environment = getattr(trainer.strategy, "cluster_environment", None)
        started = environment is not None and not environment.creates_processes_externally
        if started and trainer.local_rank > 0:
            threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """End the processes that this one started."""
        started = getattr(trainer.strategy.launcher, "procs", [])
        for process in started:
            process.kill()
        for process in started:
            process.wait()
        started.clear()  # Lightning's observer would kill this process for theirs


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGKILL)
