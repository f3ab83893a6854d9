"""What a fit will not do as its configuration suggests, found before it starts."""

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping

from scconv_lab.data import ImageDataModule
from scconv_lab.errors import UserError
from scconv_lab.fit.length import Length, length_of
from scconv_lab.training import Classifier
from scconv_lab.training.schedules import review, watched


def preview(trainer: Trainer, model: Classifier, data: ImageDataModule) -> list[str]:
    """Look ahead at a fit whose data are set up; what it has in mind for the optimizer is tried on a copy.

    Returns:
        Warnings, for a person.

    Raises:
        UserError: (a ValueError) for what would end the fit after it has started.
    """
    if trainer.fast_dev_run:
        return []
    try:
        train_batches, val_batches = len(data.train_dataloader()), len(data.val_dataloader() or [])
    except TypeError:  # loaders of a data module of one's own whose length nobody knows
        return []
    length = length_of(trainer, train_batches=train_batches, val_batches=val_batches)
    return [
        *_validation(trainer, length, val_batches),
        *_stop(trainer, length),
        *_schedule(trainer, model, length),
    ]


def _validation(trainer: Trainer, length: Length, val_batches: int) -> list[str]:
    if not length.validates:
        return ["this run comes to no validation, so that no best.ckpt is kept and the last weights are tested"]
    if length.val_batches < val_batches:
        return [f"val/loss and val/acc are of {length.val_batches} of the {val_batches} batches for validation"]
    return []


def _stop(trainer: Trainer, length: Length) -> list[str]:
    for callback in trainer.callbacks:
        if isinstance(callback, EarlyStopping) and callback.monitor.startswith("val/") and not length.validates:
            raise UserError(
                f"`trainer.callbacks`: {type(callback).__name__} watches {callback.monitor}, and this run comes to no "
                "validation; watch train/loss, or validate"
            )
    if trainer.min_steps and length.steps is not None and length.steps < trainer.min_steps:
        return [f"`trainer.min_steps` is {trainer.min_steps}, and the run ends after {length.steps} steps"]
    return []


def _schedule(trainer: Trainer, model: Classifier, length: Length) -> list[str]:
    planned = model.configure_optimizers()
    if not isinstance(planned, dict):
        return []
    described = planned["lr_scheduler"]
    schedule = described["scheduler"]
    monitor = watched(schedule)
    if monitor is None:
        return review(schedule, interval=described["interval"], moves={"epoch": length.epochs, "step": length.steps})
    name = type(schedule).__name__
    if monitor.startswith("val/") and (not length.validates or trainer.check_val_every_n_epoch != 1):
        raise UserError(
            f"`lr_scheduler` ({name}) watches {monitor}, which is not new each epoch "
            f"(`trainer.check_val_every_n_epoch` is {trainer.check_val_every_n_epoch}); watch train/loss, or validate "
            "each epoch"
        )
    return []
