"""Keeps what is not finite out of the weights and out of the checkpoints."""

import math
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from scconv_lab.errors import DivergedError
from scconv_lab.training.exact_resume import metrics, set_metrics, torch_generators
from scconv_lab.training.nonfinite_report import names_of_nonfinite, write_autopsy

OnNonfinite = Literal["stop", "skip"]


class FiniteGuard(Callback):
    """Looks at loss and gradients before every optimizer step, and at the weights before every checkpoint.

    The largest absolute value of all is one number, and NaN and infinity pass through a maximum; so one look costs one
    pass over the gradients and, on a GPU, one wait for the backward pass. Without the wait the step could not be held
    back. Under fp16 the gradient scaler leaves out the steps of infinite gradients itself, and is left to.

    "stop" writes what happened to ``folder`` (see `write_autopsy`) and raises DivergedError; the checkpoints stay as
    they were. "skip" takes back what the batch did to buffers and metrics, takes no step, counts it and logs the count
    as train/skipped_steps, once an epoch. A checkpoint with a weight that is not finite is never written.

    Args:
        folder: The run's folder.
        on_nonfinite: "stop" or "skip".
    """

    def __init__(self, folder: Path, *, on_nonfinite: OnNonfinite = "stop") -> None:
        self.folder = folder
        self.on_nonfinite = on_nonfinite
        self.skipped = 0
        self._loss = torch.zeros(1)
        self._batch: Any = None
        self._before: dict[str, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the first process's folder: each names one by the time at which it starts."""
        self.folder = trainer.strategy.broadcast(self.folder)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Keep what the batch starts from."""
        self._batch = batch
        self._before = {"generators": torch_generators()}
        if self.on_nonfinite == "skip":
            self._before["buffers"] = [buffer.clone() for buffer in pl_module.buffers()]
            self._before["metrics"] = metrics(pl_module)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Note the loss, which is looked at with the gradients."""
        self._loss = loss.detach().reshape(1)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Stop or skip if anything is not finite."""
        if getattr(trainer.precision_plugin, "scaler", None) is not None:
            return
        gradients = [parameter.grad for parameter in pl_module.parameters() if parameter.grad is not None]
        bad = not math.isfinite(get_total_norm([*gradients, self._loss], norm_type=math.inf).item())
        if self.on_nonfinite == "stop":
            if bad:
                self._stop(trainer, pl_module)
            return
        if trainer.world_size > 1:  # a loss is each process's own, and all must do the same
            bad = trainer.strategy.reduce_boolean_decision(bad, all=False)
        if bad:
            self._skip(trainer, pl_module, optimizer)

    def _stop(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step = trainer.global_step + 1
        found = write_autopsy(
            self.folder / f"nonfinite-step{step}-process{trainer.global_rank}",
            pl_module,
            batch=self._batch,
            loss=self._loss.item(),
            generators=self._before["generators"],
            place={"step": step, "epoch": trainer.current_epoch + 1, "batch": trainer.fit_loop.batch_idx + 1},
        )
        raise DivergedError(
            f"loss {self._loss.item()} at step {step}, epoch {trainer.current_epoch + 1}; {found}; no step was taken, "
            "and the checkpoints are from before"
        )

    def _skip(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        optimizer.zero_grad(set_to_none=True)  # without a gradient nothing changes: no momentum, no weight decay
        for buffer, before in zip(pl_module.buffers(), self._before["buffers"], strict=True):
            buffer.copy_(before)
        set_metrics(pl_module, self._before["metrics"])
        self.skipped += 1
        if trainer.is_global_zero:
            print(
                f"warning  step {trainer.global_step + 1} is not finite and skipped ({self.skipped} so far)", flush=True
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log train/skipped_steps, once an epoch."""
        if self.on_nonfinite == "skip":
            for logger in trainer.loggers:
                values = {"train/skipped_steps": float(self.skipped), "epoch": trainer.current_epoch}
                logger.log_metrics(values, step=trainer.global_step - 1)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Refuse to keep a weight that is not finite."""
        if bad := names_of_nonfinite(checkpoint["state_dict"]):
            raise DivergedError(
                f"{bad[0]} and {len(bad) - 1} other weights are not finite after step {trainer.global_step}; "
                "no checkpoint was written, and those that are there are from before"
            )

    def state_dict(self) -> dict[str, int]:
        """The steps skipped so far."""
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Count on from a checkpoint."""
        self.skipped = state_dict["skipped"]
