"""Which checkpoints a fit leaves, and which checkpoint fits a configuration."""

import traceback
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, loops
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.trainer.connectors import checkpoint_connector

from scconv_lab.errors import Stopped, UserError
from scconv_lab.run_folder.checkpoint_io import load_verified, set_aside
from scconv_lab.run_folder.configuration import differences
from scconv_lab.run_folder.layout import BEST, CHECKPOINTS
from scconv_lab.training import exact_resume
from scconv_lab.training.classifier import Classifier
from scconv_lab.training.exact_resume import ExactResume
from scconv_lab.training.interrupt import SignalWatch

_OF_THE_NET = ("net", "surgery", "num_classes")
_RESTORES = (checkpoint_connector.__file__, exact_resume.__file__)
_USES = tuple(str(Path(module.__file__).parent) for module in (loops, torch.optim))


def checkpoints(
    folder: Path,
    *,
    keep_best: bool = True,
    save_every: int | None = None,
    bad: Sequence[Path] = (),
    configuration: dict[str, Any] | None = None,
) -> list[Callback]:
    """Keep ``best.ckpt``, of the highest val/acc1, and ``last.ckpt``, of the last epoch or of a stop within one.

    Args:
        folder: Where they go.
        keep_best: Whether there is a val/acc1 to choose ``best.ckpt`` by.
        save_every: Steps after which ``last.ckpt`` is written within an epoch too; None: only after each epoch.
        bad: Files that are set aside, as ``x.ckpt.bad``.
        configuration: What the run is made from, of plain values; the checkpoints keep it.
    """
    best = ModelCheckpoint(folder, Path(BEST).stem, monitor="val/acc1", mode="max", enable_version_counter=False)
    last = LastCheckpoint(folder / CHECKPOINTS[0], save_every=save_every, bad=bad)
    return [ExactResume(configuration), *([best] if keep_best else []), last]


class LastCheckpoint(Checkpoint):
    """Writes the checkpoint to resume from: after each epoch, every so many steps, and when asked to stop.

    On SIGINT, SIGTERM or SIGUSR1 (see `SignalWatch`) the fit ends by `Stopped` with the step, or, where the last step
    of an epoch or a validation is under way, with the epoch; of several processes all at the same step, within ten.
    Lightning cannot resume exactly from a step with gradients being accumulated or a validation after it, nor, with
    ``max_steps``, from an epoch's end; there the next step's end is taken.

    Args:
        path: Where the checkpoint goes.
        save_every: Steps between two checkpoints within an epoch; None writes none there.
        bad: Files of an earlier process that must not be kept as the previous good one; they are set aside.
    """

    def __init__(self, path: Path, *, save_every: int | None = None, bad: Sequence[Path] = ()) -> None:
        self.path = path
        self.save_every = save_every
        self.bad = bad
        self._signals = SignalWatch()
        self._saved_at = 0
        self._due = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set bad files aside: by now every process has chosen its checkpoint."""
        if trainer.is_global_zero:
            for path in self.bad:
                set_aside(path)

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the signals, for which Lightning registers after on_fit_start."""
        self._signals.take(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take them where no sanity check ran, and count from the restored step."""
        self._signals.take(trainer)
        self._saved_at = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save here if it is time, and stop here if any process was asked to."""
        steps = trainer.global_step - self._saved_at
        self._due |= self.save_every is not None and steps >= self.save_every
        if not _can_go_on_from_here(trainer, batch_idx):
            return
        signum = self._signals.agreed(trainer, batch_idx)
        if signum or self._due:
            self._save(trainer)
        self._stop(trainer, signum)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save here, and stop here if any process was asked to."""
        if trainer.max_steps != -1 and trainer.global_step < trainer.max_steps:
            self._due = True
            return
        self._save(trainer)
        self._stop(trainer, self._signals.agreed(trainer))

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.path)
        self._saved_at, self._due = trainer.global_step, False

    def _stop(self, trainer: Trainer, signum: int) -> None:
        if not signum:
            return
        if trainer.is_global_zero:
            print(f"stopped at step {trainer.global_step}, epoch {trainer.current_epoch + 1}: {self.path}", flush=True)
        raise Stopped(signum)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signals back, before Lightning gives back what it found."""
        self._signals.give_back()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the signals back."""
        self._signals.give_back()


def _can_go_on_from_here(trainer: Trainer, batch_idx: int) -> bool:
    if trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches:
        return False
    of_the_fit = trainer.check_val_every_n_epoch is None  # validations are counted over epochs
    batches = trainer.fit_loop.total_batch_idx if of_the_fit else batch_idx
    every = trainer.val_check_batch
    return not every or bool((batches + 1) % every)


def require_same_hparams(path: Path, model: Classifier, *, for_training: bool) -> None:
    """Raise UserError unless a checkpoint is whole and was made by a model with the same arguments.

    For training all arguments count, for evaluation those of the net: a changed net would not load, and a changed
    learning rate would silently be the checkpoint's again.
    """
    try:
        saved = load_verified(path, map_location="meta", for_training=for_training)["hyper_parameters"]
    except UserError as error:
        raise UserError(f"{error}; give another checkpoint, or `--resume RUN_FOLDER` to fit") from error
    differing = [
        difference
        for key, difference in differences(saved, dict(model.hparams)).items()
        if for_training or key.startswith(_OF_THE_NET)
    ]
    if differing:
        raise UserError(
            f"{path} was made with another configuration: {'; '.join(differing)}; "
            "give the configuration it was made with (config.yaml in its run's folder), or start without it"
        )


def restoring(error: BaseException, path: str | None, trainer: Trainer) -> UserError | None:
    """What to say of an error that comes of a checkpoint's content; None for any other error.

    A checkpoint may be whole, have every part, and still hold in one of them what no run would write. Some of it fails
    while it is restored, some in the loop or the optimizer at the first step.
    """
    callbacks = trainer.callbacks  # pyrefly: ignore[missing-attribute]
    fits = [callback for callback in callbacks if isinstance(callback, ExactResume)]
    if path is None or any(fit.trained for fit in fits):
        return None
    if isinstance(error, UserError) or not isinstance(error, Exception):
        return None
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if not any(file in _RESTORES for file in files) and not (fits and files[-1].startswith(_USES)):
        return None
    reason = shorten(str(error), width=300, placeholder=" ...")
    return UserError(
        f"{path} cannot be restored ({type(error).__name__}: {reason}); give another checkpoint, or its weights only "
        "by `--weights`"
    )
