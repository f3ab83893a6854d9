"""How long a fit is: its batches, steps, epochs and validations, known before it starts."""

import math
from dataclasses import dataclass
from typing import Any

from lightning.pytorch.callbacks import GradientAccumulationScheduler

from scconv_lab.errors import UserError

BuiltTrainer = Any
"""A Lightning Trainer, most of whose attributes its connectors set, where type checkers do not see them."""


@dataclass(frozen=True)
class Length:
    """What a fit comes to if nothing stops it early; None where neither `max_epochs` nor `max_steps` ends it.

    ``batches`` and ``val_batches`` are those of one epoch and one validation, of each process.
    """

    batches: int
    val_batches: int
    epochs: int | None
    steps: int | None
    validates: bool


def length_of(trainer: BuiltTrainer, *, train_batches: int, val_batches: int) -> Length:
    """Work out how long a fit is.

    Args:
        trainer: Built, and not started.
        train_batches: Batches of the training loader.
        val_batches: Batches of the validation loader.

    Raises:
        UserError: (a ValueError) for limits and intervals that leave no batch, or that no epoch reaches.
    """
    overfit = trainer.overfit_batches  # Lightning has put it in the place of both limits by now
    batches = _limited(
        "overfit_batches" if overfit else "limit_train_batches", trainer.limit_train_batches, train_batches
    )
    val_batches = _limited(
        "overfit_batches" if overfit else "limit_val_batches", trainer.limit_val_batches, val_batches
    )
    _require_reached(trainer, batches)
    most_steps = None if trainer.max_steps == -1 else trainer.max_steps
    epochs = None if trainer.max_epochs in (None, -1) else trainer.max_epochs
    if epochs is None and most_steps is None:
        return Length(batches, val_batches, None, None, val_batches > 0)
    full = steps = 0
    while (epochs is None or full < epochs) and (most_steps is None or steps < most_steps):
        steps += math.ceil(batches / _accumulated(trainer, full))
        full += 1
    whole = full if most_steps is None or steps <= most_steps else full - 1
    taken = steps if most_steps is None else min(steps, most_steps)
    validates = val_batches > 0 and _validates(trainer, batches=batches, whole=whole, started=full, steps=taken)
    return Length(batches, val_batches, full, taken, validates)


def _limited(key: str, limit: float | None, batches: int) -> int:
    """As Lightning counts: an int is a number of batches, a float a share of them."""
    if isinstance(limit, int) or limit is None:
        return batches if limit is None else min(limit, batches)
    taken = int(batches * limit)
    if taken == 0 and limit > 0 and batches > 0:
        raise UserError(
            f"`trainer.{key}` (={limit}) of {batches} batches is less than one; give at least {1 / batches:.3g}, or a "
            "number of batches such as 1"
        )
    return taken


def _require_reached(trainer: BuiltTrainer, batches: int) -> None:
    interval = getattr(trainer, "val_check_interval", None)  # there is none where it is a time
    if isinstance(interval, int) and trainer.check_val_every_n_epoch is not None and interval > batches:
        raise UserError(
            f"`trainer.val_check_interval` (={interval}) must be at most the {batches} batches of an epoch; count over "
            "epochs by `--trainer.check_val_every_n_epoch null`, or leave it out"
        )
    accumulated = trainer.accumulate_grad_batches
    if accumulated > batches:
        raise UserError(
            f"`trainer.accumulate_grad_batches` (={accumulated}) must be at most the {batches} batches of an epoch, at "
            "the end of which a step is taken in any case; lower it"
        )


def _accumulated(trainer: BuiltTrainer, epoch: int) -> int:
    for callback in trainer.callbacks:
        if isinstance(callback, GradientAccumulationScheduler):
            return callback.get_accumulate_grad_batches(epoch)
    return trainer.accumulate_grad_batches


def _validates(trainer: BuiltTrainer, *, batches: int, whole: int, started: int, steps: int) -> bool:
    """Whether a fit of ``whole`` epochs, or of part of ``started`` ones, comes to a validation."""
    every, interval = trainer.check_val_every_n_epoch, getattr(trainer, "val_check_interval", None)
    if interval is None:
        return True
    seen = min(started * batches, steps * trainer.accumulate_grad_batches)
    if every is None:
        return seen >= (interval if isinstance(interval, int) else math.ceil(interval * batches))
    if whole >= every:
        return True
    within = interval if isinstance(interval, int) else max(1, int(batches * interval))
    return started >= every and within < batches and seen - (every - 1) * batches >= within
