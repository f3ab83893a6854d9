"""Callbacks of Lightning that would end a run in the middle, or leave a wrong record of it."""

import importlib
from collections.abc import Iterable
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    BatchSizeFinder,
    EarlyStopping,
    GradientAccumulationScheduler,
    LearningRateFinder,
    LearningRateMonitor,
    ModelCheckpoint,
    ProgressBar,
    StochasticWeightAveraging,
    WeightAveraging,
)
from lightning.pytorch.callbacks.spike import SpikeDetection

from scconv_lab.errors import UserError
from scconv_lab.messages import nearest
from scconv_lab.training.metrics import METRICS

_UNUSABLE = {
    BatchSizeFinder: "changes the batch size that the record names; give `data.init_args.batch_size` a value "
    "(`--measure_cost true` measures its memory)",
    LearningRateFinder: "changes the learning rate that the record names; give `optimizer.init_args.lr` a value, or "
    "compare several in a sweep",
    BackboneFinetuning: "needs a model with a `backbone`, and the net here is `pl_module.net`; derive one of your own "
    "from BaseFinetuning",
    SpikeDetection: "cannot load its own state again (lightning 2.6.6); `--on_nonfinite` watches losses and gradients",
}


def require_usable(trainer: Namespace, command: str) -> None:
    """Raise UserError for a callback that cannot work here; show a progress bar where one is among the callbacks.

    Args:
        trainer: The parsed arguments of the trainer.
        command: fit, validate, test or predict.
    """
    given = described(trainer)
    if any(issubclass(cls, ProgressBar) for cls, _ in given):
        trainer.enable_progress_bar = True  # its default is false where the output is no terminal
    if command != "fit":
        return
    kinds = [cls for cls, _ in given]
    for cls, arguments in given:
        for unusable, why in _UNUSABLE.items():
            if issubclass(cls, unusable):
                raise UserError(f"`trainer.callbacks`: {cls.__name__} {why}; leave it out")
        if issubclass(cls, EarlyStopping | ModelCheckpoint) and arguments.get("monitor") is not None:
            require_metric(
                f"`trainer.callbacks`: {cls.__name__}",
                arguments["monitor"],
                arguments.get("mode"),
                others=logs_more(kinds),
            )
        if issubclass(cls, ModelCheckpoint):
            _require_apart(cls, arguments)
        if issubclass(cls, GradientAccumulationScheduler) and trainer.accumulate_grad_batches != 1:
            raise UserError(
                f"`trainer.callbacks`: {cls.__name__} and `trainer.accumulate_grad_batches` "
                f"(={trainer.accumulate_grad_batches}) set the same; leave one out"
            )
        if issubclass(cls, StochasticWeightAveraging):
            _require_averaging(cls, arguments, trainer.max_epochs)
        if issubclass(cls, LearningRateMonitor) and trainer.logger is False:
            raise UserError(f"`trainer.callbacks`: {cls.__name__} needs a logger; leave `trainer.logger` (=false) out")


def require_metric(key: str, monitor: str, mode: str | None, *, others: bool = False) -> None:
    """Raise UserError unless a fit logs ``monitor``, and ``mode`` names its better end.

    Args:
        key: What watches the metric, for the message.
        monitor: The metric.
        mode: "min", "max" or None.
        others: Whether something else may log metrics that are not the lab's.
    """
    if monitor not in METRICS:
        if others:
            return
        raise UserError(f"{key}: `monitor` (={monitor}) must be a metric of the run{_nearest_metric(monitor)}")
    if mode and mode != METRICS[monitor]:
        better = {"min": "lower", "max": "higher"}[METRICS[monitor]]
        raise UserError(f"{key}: `mode` (={mode}) must be {METRICS[monitor]}, for a {better} {monitor} is better")


def _nearest_metric(monitor: str) -> str:
    names = {name.replace("/", "_"): name for name in METRICS} | {name.replace("/", ""): name for name in METRICS}
    same = names.get(monitor.lower().replace("accuracy", "acc1").replace("-", "_"))
    return f"; did you mean {same!r}?" if same else nearest(monitor, list(METRICS))


def described(trainer: Namespace) -> list[tuple[type, dict[str, Any]]]:
    """The class and the arguments of each callback of the user's."""
    callbacks = trainer.callbacks or []
    found = []
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        module, _, name = callback.class_path.rpartition(".")
        arguments = callback.get("init_args") or Namespace()
        found.append((getattr(importlib.import_module(module), name), vars(arguments)))
    return found


def logs_more(callbacks: Iterable[type]) -> bool:
    """Whether one of some classes may log metrics of its own: one of the user's, or Lightning's LearningRateMonitor."""
    known = ("lightning.", "scconv_lab.")
    return any(not cls.__module__.startswith(known) or cls is LearningRateMonitor for cls in callbacks)


def _require_apart(cls: type, arguments: dict[str, Any]) -> None:
    """Lightning keeps one state for all of the same monitor, mode and interval, and the lab's best.ckpt is one."""
    by_time = arguments.get("every_n_train_steps") or arguments.get("train_time_interval")
    if arguments.get("monitor") == "val/acc1" and not by_time and arguments.get("every_n_epochs") in (None, 1):
        raise UserError(
            f"`trainer.callbacks`: {cls.__name__} of val/acc1 keeps what best.ckpt is already; leave it out, or give "
            "it an `every_n_epochs` above 1"
        )


def _require_averaging(cls: type, arguments: dict[str, Any], max_epochs: int | None) -> None:
    start = arguments.get("swa_epoch_start")
    if isinstance(start, int) and max_epochs is not None and 0 <= max_epochs <= start:
        raise UserError(
            f"`trainer.callbacks`: {cls.__name__}'s `swa_epoch_start` (={start}) must be below `trainer.max_epochs` "
            f"(={max_epochs}), or there is nothing to average"
        )


def leave_averages(trainer: Any) -> None:
    """Remove what would load the weights that training had in the place of the average that a checkpoint holds."""
    trainer.callbacks = [callback for callback in trainer.callbacks if not isinstance(callback, WeightAveraging)]
