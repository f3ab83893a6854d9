"""What a fit will not do as its configuration suggests, found before it starts."""

from typing import Any

from lightning.pytorch.callbacks import EarlyStopping

from scconv_lab.data import ImageDataModule
from scconv_lab.errors import UserError
from scconv_lab.fit.callbacks import logs_more, require_metric
from scconv_lab.fit.length import BuiltTrainer, Length, length_of
from scconv_lab.training import Classifier
from scconv_lab.training.schedules import review, watched


def preview(trainer: BuiltTrainer, model: Classifier, data: ImageDataModule) -> list[str]:
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


def _validation(trainer: BuiltTrainer, length: Length, val_batches: int) -> list[str]:
    if not length.validates:
        return ["no epoch of this run is validated, so there is no best.ckpt and the last weights are tested"]
    if length.val_batches < val_batches:
        limit = "overfit_batches" if trainer.overfit_batches else "limit_val_batches"
        return [
            f"`trainer.{limit}` validates {length.val_batches} of {val_batches} batches: val/ metrics are of those only"
        ]
    return []


def _stop(trainer: BuiltTrainer, length: Length) -> list[str]:
    for callback in trainer.callbacks:
        if isinstance(callback, EarlyStopping) and callback.monitor.startswith("val/") and not length.validates:
            raise UserError(
                f"`trainer.callbacks`: {type(callback).__name__} watches {callback.monitor}, and no epoch of this run "
                "is validated; watch train/loss, or change the limits and intervals of validation"
            )
    if trainer.min_steps and length.steps is not None and length.steps < trainer.min_steps:
        return [f"`trainer.min_steps` is {trainer.min_steps}, and the run ends after {length.steps} steps"]
    return []


def _schedule(trainer: BuiltTrainer, model: Classifier, length: Length) -> list[str]:
    planned: Any = model.configure_optimizers()
    if not isinstance(planned, dict):
        return []
    described = planned["lr_scheduler"]
    schedule = described["scheduler"]
    monitor = watched(schedule)
    if monitor is None:
        return review(schedule, interval=described["interval"], moves={"epoch": length.epochs, "step": length.steps})
    name = type(schedule).__name__
    others = logs_more(map(type, trainer.callbacks))
    require_metric(f"`lr_scheduler`: {name}", monitor, schedule.mode, others=others)
    if monitor.startswith("val/") and (not length.validates or trainer.check_val_every_n_epoch != 1):
        raise UserError(
            f"`lr_scheduler` ({name}) watches {monitor}, which is not new each epoch "
            f"(`trainer.check_val_every_n_epoch` is {trainer.check_val_every_n_epoch}); watch train/loss, or validate "
            "each epoch"
        )
    return []
