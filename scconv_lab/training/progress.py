"""How far a run has come, as data that sweeps read, whatever the logger."""

import time

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only

from scconv_lab.run_folder.files import append_line
from scconv_lab.run_folder.layout import RunFolder


class Progress(Callback):
    """Appends a line to the run's progress.jsonl after each epoch.

    Its keys: ``epoch``, from 1, and ``epochs``, null where only steps end the run; ``step`` and ``steps``, null where
    only epochs do; ``seconds`` that this process spent on the epoch; ``val/acc1``, null without a validation.

    Args:
        folder: The run's.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._began = 0.0
        self._validated = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from here: an epoch that is resumed in its middle has no other start."""
        self._began = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the epoch's clock."""
        self._began = time.monotonic()
        self._validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that val/acc1 is this epoch's."""
        self._validated = not trainer.sanity_checking

    @rank_zero_only
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Append the epoch's line."""
        accuracy = trainer.callback_metrics.get("val/acc1") if self._validated else None
        append_line(
            self.folder.progress,
            {
                "epoch": trainer.current_epoch + 1,
                "epochs": trainer.max_epochs if (trainer.max_epochs or -1) > 0 else None,
                "step": trainer.global_step,
                "steps": trainer.max_steps if trainer.max_steps > 0 else None,
                "seconds": round(time.monotonic() - self._began, 3),
                "val/acc1": None if accuracy is None else accuracy.item(),
            },
        )
