"""Ends a fit on SIGINT between two steps, with a checkpoint."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

_BATCHES_BETWEEN_AGREEMENTS = 10
"""Asking the other processes costs each of them a wait, so it is not done every batch."""


class StopOnInterrupt(Callback):
    """On SIGINT (Ctrl-C) finishes the step, saves a checkpoint and ends; a second SIGINT ends at once, without one.

    Python would raise in the middle of a step, where the weights may be half updated. With several processes all of
    them stop at the same step, within ten.

    Args:
        checkpoint: Where the checkpoint goes.
    """

    def __init__(self, checkpoint: Path):
        self.checkpoint = checkpoint
        self.interrupted = False
        self._before: Any = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over SIGINT."""
        self._before = signal.signal(signal.SIGINT, self._note)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop here if any process was interrupted."""
        if trainer.world_size > 1:
            if batch_idx % _BATCHES_BETWEEN_AGREEMENTS:
                return
            self.interrupted = trainer.strategy.reduce_boolean_decision(self.interrupted, all=False)
        if self.interrupted:
            self._stop(trainer)

    def _stop(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.checkpoint)
        if trainer.is_global_zero:
            print(
                f"stopped at step {trainer.global_step}, epoch {trainer.current_epoch + 1}: {self.checkpoint}",
                flush=True,
            )
        raise KeyboardInterrupt

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give SIGINT back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
