"""What a checkpoint needs beyond Lightning's own, so that a run resumes as if it had not been stopped."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Number
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchmetrics import Metric

from scconv_lab.data import ImageDataModule

Plain = dict[str, Any]
_MISSING = object()


class ExactResume(Callback):
    """Keeps, of every process, the random generators and the metrics that an epoch is in the middle of.

    Keeps the run's configuration and its images' description (`Classifier.images`) with them.

    Weights, optimizer, schedule, loops and callbacks are Lightning's to keep, the place in the epoch is
    `ResumableLoader`'s, and how a sample is augmented follows from its place (`scconv_lab.data.sampling`). All values
    are tensors and plain ones, so that the checkpoint loads with weights_only.

    Args:
        configuration: What the run is made from, kept in its checkpoints, so that another run's are recognised.
    """

    def __init__(self, configuration: dict[str, Any] | None = None) -> None:
        self.configuration = configuration or {}
        self.trained = False
        """Whether this process has trained a step."""
        self._checkpoint: Plain = {}
        self._restored: list[Plain] = []

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Gather the state of every process; all of them come here."""
        epoch = trainer.fit_loop.epoch_progress.current.state_dict()
        within = epoch["started"] > epoch["processed"]  # after an epoch the metrics wait to be reset
        own = {"generators": generators(), "metrics": metrics(pl_module) if within else {}}
        checkpoint["configuration"] = self.configuration
        data = getattr(trainer, "datamodule", None)
        if isinstance(data, ImageDataModule):
            checkpoint["images"] = data.description
        checkpoint["processes"] = _gather(own, trainer.world_size)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the state until what is built before the first step has drawn its random numbers.

        Of callbacks, what Lightning would restore in silence is refused here, as they are restored next.
        """
        for callback in trainer.callbacks:  # pyrefly: ignore[missing-attribute]
            saved = checkpoint["callbacks"].get(callback.state_key, {})
            _require_none(_unlike(saved, _known(callback.state_dict(), saved), f"callbacks.{type(callback).__name__}"))
        self._checkpoint = checkpoint
        self._restored = checkpoint.get("processes", [])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what Lightning would restore in silence, or fail on only later; nothing of it is restored yet."""
        if self._checkpoint:
            require_like(self._checkpoint, trainer)
        self._checkpoint = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore this process's state."""
        if trainer.global_rank < len(self._restored):
            own = self._restored[trainer.global_rank]
            set_metrics(pl_module, own["metrics"])
            set_generators(own["generators"])
        self._restored = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """From here on an error is the run's own."""
        self.trained = True


def require_like(checkpoint: Plain, trainer: Trainer) -> None:
    """Raise ValueError unless a checkpoint holds each part of a fit as the fit has it before it is restored.

    Keys, kinds and numbers of entries are compared, not values. Lightning restores as many optimizers and schedules as
    there are in the file, and torch takes whatever a schedule's entries are.
    """
    optimizers, schedules = checkpoint["optimizer_states"], checkpoint["lr_schedulers"]
    own = [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs]
    same = len(schedules) == len(own)
    fresh = [_known(mine, saved, "last_epoch") for mine, saved in zip(own, schedules, strict=True)] if same else own
    counters = {key: value for key, value in trainer.fit_loop.state_dict().items() if key.endswith("_progress")}
    lacking = [
        *([] if len(optimizers) == len(trainer.optimizers) else ["optimizer_states"]),
        *_unlike(schedules, fresh, "lr_schedulers"),
        *_unlike(checkpoint["loops"].get("fit_loop"), counters, "loops.fit_loop"),
    ]
    _require_none(lacking)


def _require_none(lacking: list[str]) -> None:
    if lacking:
        raise ValueError(f"{', '.join(lacking)}: missing, or other than what this run has")


def _known(fresh: Plain, saved: Any, *needed: str) -> Plain:
    """The entries that are saved or needed; other versions of a library have others."""
    return {key: value for key, value in fresh.items() if key in needed or (isinstance(saved, dict) and key in saved)}


def _unlike(saved: Any, fresh: Any, name: str) -> list[str]:
    """Dotted names of what is missing or of another kind."""
    if fresh is None:
        return []
    if isinstance(fresh, Number):
        return [] if isinstance(saved, Number) else [name]
    if isinstance(fresh, dict):
        if not isinstance(saved, dict):
            return [name]
        return [line for key in fresh for line in _unlike(saved.get(key, _MISSING), fresh[key], f"{name}.{key}")]
    if isinstance(fresh, list | tuple):
        if not isinstance(saved, list | tuple) or (fresh and len(saved) != len(fresh)):
            return [name]
        return [line for index, own in enumerate(fresh) for line in _unlike(saved[index], own, f"{name}.{index}")]
    return [] if isinstance(saved, type(fresh)) else [name]


def _gather(own: Plain, world_size: int) -> list[Plain]:
    if world_size == 1:
        return [own]
    gathered: list[Any] = [None] * world_size
    torch.distributed.all_gather_object(gathered, own)
    return gathered


def generators() -> Plain:
    """The state of this process's random generators: Python's, NumPy's, torch's, and that of the GPU in use."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": [version, torch.tensor(words), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        **torch_generators(),
    }


def torch_generators() -> Plain:
    """The state of torch's generators, of the CPU and of the GPU in use: what a net draws from; microseconds."""
    return {
        "torch": torch.get_rng_state(),
        # only of the device in use: asking for the others' would start them
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
    }


def set_generators(state: Plain) -> None:
    """Set this process's random generators to a state that `generators` gave."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    set_torch_generators(state)


def set_torch_generators(state: Plain) -> None:
    """Set torch's generators to a state that `torch_generators` gave."""
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(state["cuda"].cpu())


@contextmanager
def drawing_as(state: Plain) -> Iterator[None]:
    """Use a state of torch's generators inside the block; restore the old one afterwards."""
    before = torch_generators()
    set_torch_generators(state)
    try:
        yield
    finally:
        set_torch_generators(before)


def metrics(module: LightningModule) -> Plain:
    """The state of each of a module's metrics that has been updated since its last reset."""
    return {
        name: {
            "updates": metric.update_count,
            "state": {
                key: value.clone().cpu() for key, value in metric.metric_state.items() if isinstance(value, Tensor)
            },
        }
        for name, metric in module.named_modules()
        if isinstance(metric, Metric) and metric.update_called
    }


def set_metrics(module: LightningModule, saved: Plain) -> None:
    """Set metrics to a state that `metrics` gave; those that had none are reset."""
    for own in module.modules():
        if isinstance(own, Metric) and own.update_called:
            own.reset()
    for name, metric in saved.items():
        own = module.get_submodule(name)
        for key, value in metric["state"].items():
            setattr(own, key, value.to(module.device))
        own._update_count = metric["updates"]
