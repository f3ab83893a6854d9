"""The bar of an epoch under way, above which the run's lines are printed."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks.progress import TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm


class ProgressBar(TQDMProgressBar):
    """Lightning's bar, which counts epochs from 1 as the run's lines do, and leaves nothing when it is full."""

    def init_train_tqdm(self) -> Tqdm:
        """Make the bar of training."""
        return _vanishing(super().init_train_tqdm())

    def init_validation_tqdm(self) -> Tqdm:
        """Make the bar of a validation."""
        return _vanishing(super().init_validation_tqdm())

    def init_test_tqdm(self) -> Tqdm:
        """Make the bar of a test."""
        return _vanishing(super().init_test_tqdm())

    def init_predict_tqdm(self) -> Tqdm:
        """Make the bar of a prediction."""
        return _vanishing(super().init_predict_tqdm())

    def on_train_epoch_start(self, trainer: Trainer, *args: Any) -> None:
        """Name the epoch."""
        super().on_train_epoch_start(trainer, *args)
        of = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}{of}")

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Leave out ``v_num``, the number of a logger's version, which says nothing of the run."""
        metrics = super().get_metrics(trainer, pl_module)
        return {name: value for name, value in metrics.items() if name != "v_num"}

    def print(self, *args: Any, sep: str = " ", **kwargs: Any) -> None:
        """Print above the bar; Lightning's own prints nothing before there is one."""
        Tqdm.write(sep.join(map(str, args)), **kwargs)


def _vanishing(bar: Tqdm) -> Tqdm:
    bar.leave = False
    return bar
