"""Learning-rate schedules: how often they move, what they watch, and whether their length is the run's."""

import math
import warnings
from typing import Literal

from lightning.pytorch.utilities.types import LRSchedulerConfigType
from torch.optim import lr_scheduler as schedules
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from scconv_lab.errors import UserError

Interval = Literal["epoch", "step"]
_LENGTHS = {
    schedules.OneCycleLR: "total_steps",
    schedules.CosineAnnealingLR: "T_max",
    schedules.CosineAnnealingWarmRestarts: "T_0",
    schedules.CyclicLR: "total_size",
    schedules.PolynomialLR: "total_iters",
    schedules.LinearLR: "total_iters",
    schedules.ConstantLR: "total_iters",
    schedules.StepLR: "step_size",
}
"""Under which name a schedule keeps the number of moves after which it ends, turns round or first changes."""
_ENDS = (schedules.OneCycleLR, schedules.CosineAnnealingLR, schedules.PolynomialLR)
"""Schedules that are made for a run of one length; beyond it they go up again, or stay at their end."""
_COUNTS_STEPS = (schedules.OneCycleLR, schedules.CyclicLR)
_MOST_REHEARSED = 10_000  # moves, a fraction of a second


def watched(schedule: LRScheduler) -> str | None:
    """The metric that a schedule watches; None if it follows only the time.

    Lightning's ReduceLROnPlateau names its ``monitor``; torch's watches val/loss where its ``mode`` is "min", and
    val/acc1 where it is "max".
    """
    if not isinstance(schedule, ReduceLROnPlateau):
        return None
    return getattr(schedule, "monitor", {"min": "val/loss", "max": "val/acc1"}[schedule.mode])


def as_lightning_takes_it(schedule: LRScheduler, interval: Interval) -> LRSchedulerConfigType:
    """A schedule's description for `LightningModule.configure_optimizers`.

    Raises:
        UserError: (a ValueError) if it watches a metric of epochs and is to move once a step.
    """
    monitor = watched(schedule)
    if monitor is None:
        return {"scheduler": schedule, "interval": interval}
    if interval == "step":
        raise UserError(
            f"`lr_interval` (=step) must be epoch: {_name(schedule)} watches {monitor}, which an epoch has once"
        )
    return {"scheduler": schedule, "interval": interval, "monitor": monitor}


def review(schedule: LRScheduler, *, interval: Interval, moves: dict[str, int | None]) -> list[str]:
    """Try out a schedule that nothing else uses, and say where its length is not the run's.

    Args:
        schedule: It is moved, and its optimizer's learning rate with it.
        interval: How often it moves.
        moves: The run's number of epochs and of steps, by interval; None where nothing but time ends the run.

    Returns:
        Warnings, for a person.

    Raises:
        UserError: (a ValueError) if it cannot be moved so often, or gives a learning rate below 0.
    """
    if isinstance(schedule, ReduceLROnPlateau):
        return []
    run, name = moves[interval], _name(schedule)
    key, length = _length(schedule)
    if length is not None and length < 1:
        raise UserError(f"`lr_scheduler` ({name}): `{key}` (={length}) must be at least 1 {interval}")
    if run is None:
        return []
    if isinstance(schedule, schedules.OneCycleLR) and schedule.total_steps < run:
        raise UserError(
            f"`lr_scheduler` ({name}): `{key}` (={length}) must be at least the {count(run, interval)} of the run; "
            f"give {run}"
        )
    _rehearse(schedule, name, min(run, _MOST_REHEARSED))
    misfit = _misfit(schedule, key, length, run, interval)
    if misfit is None:
        return []
    steps = moves["step"]
    if interval == "epoch" and steps is not None and (isinstance(schedule, _COUNTS_STEPS) or length == steps):
        misfit += f"; `--lr_interval step` moves it once a step ({steps} in this run)"
    return [f"`lr_scheduler` ({name}) moves once {'an' if interval == 'epoch' else 'a'} {interval}: {misfit}"]


def count(number: int, interval: Interval) -> str:
    """A number of epochs or steps in words: "1 epoch", "38 steps"."""
    return f"{number} {interval}{'s' * (number != 1)}"


def _name(schedule: LRScheduler) -> str:
    return type(schedule).__name__


def _length(schedule: LRScheduler) -> tuple[str, int | None]:
    for kind, key in _LENGTHS.items():
        if isinstance(schedule, kind):
            return key, math.ceil(getattr(schedule, key))
    return "", None


def _rehearse(schedule: LRScheduler, name: str, moves: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch asks for an optimizer's step before each
        try:
            for move in range(moves):
                schedule.step()
                rates = [group["lr"] for group in schedule.optimizer.param_groups]
                if not all(0 <= rate < math.inf for rate in rates):
                    raise UserError(
                        f"`lr_scheduler` ({name}) gives a learning rate of {min(rates)} after {move + 1} moves; it "
                        "must be at least 0: change its arguments"
                    )
        except (ValueError, ArithmeticError, TypeError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(
                f"`lr_scheduler` ({name}) cannot move {moves} times: {error}; change its arguments"
            ) from error


def _misfit(schedule: LRScheduler, key: str, length: int | None, run: int, interval: Interval) -> str | None:
    """What is odd about a schedule's length in a run of ``run`` moves; None if nothing is."""
    if isinstance(schedule, schedules.MultiStepLR):
        beyond = sorted(milestone for milestone in schedule.milestones if milestone >= run)
        named = ", ".join(map(str, beyond))
        return f"of its `milestones`, {named} is after the {count(run, interval)} of the run" if beyond else None
    if length is None:
        return None
    if run < length or (run == length and isinstance(schedule, schedules.StepLR)):
        return f"`{key}` is {length} and the run has {count(run, interval)}, so it is cut short"
    if run > length and isinstance(schedule, _ENDS):
        return f"`{key}` is {length} and the run has {count(run, interval)}, so it ends before the run does"
    if isinstance(schedule, schedules.CosineAnnealingWarmRestarts):
        end, cycle = length, length
        while end < run:
            cycle *= schedule.T_mult
            end += cycle
        ends = f"its cycles end at {end - cycle} and {end}, and the run after {count(run, interval)}"
        return ends if end != run else None
    return None
