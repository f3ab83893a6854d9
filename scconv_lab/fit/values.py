"""Values that the types of the keys let pass and no command can use."""

from typing import Any

from jsonargparse import Namespace

from scconv_lab.errors import UserError
from scconv_lab.fit.callbacks import require_usable
from scconv_lab.run_folder.configuration import processes_of

_MOST = 1024  # threads and processes of one machine
_TRAIN_NOTHING = ("max_epochs", "max_steps", "limit_train_batches")


def require_sound(command: str, settings: Namespace) -> None:
    """Raise UserError for values that are out of their range or contradict each other.

    Args:
        command: fit, validate, test or predict.
        settings: Its parsed configuration.
    """
    _require_one_start(command, settings)
    if settings.threads is not None and not 1 <= settings.threads <= _MOST:
        raise UserError(f"`threads` (={settings.threads}) must be 1 to {_MOST}; leave it out for torch's choice")
    if settings.save_every is not None and settings.save_every < 1:
        raise UserError(f"`save_every` (={settings.save_every}) must be at least 1; leave it out for the default")
    if (processes_of(settings.trainer) or 0) > _MOST:
        raise UserError(f"`trainer.devices` (={settings.trainer.devices}) must be at most {_MOST} on one machine")
    seed = settings.seed_everything
    if not isinstance(seed, bool) and not 0 <= seed < 2**32:
        raise UserError(f"`seed_everything` (={seed}) must be from 0 to {2**32 - 1}; true draws one")
    if settings.trainer.barebones:
        raise UserError(
            "`trainer.barebones` (=True) must be false: it leaves no metric and no checkpoint; leave it out"
        )
    if settings.trainer.use_distributed_sampler:
        raise UserError(
            "`trainer.use_distributed_sampler` (=True) must be false: the data modules share out the samples "
            "themselves, so that evaluation counts each once; leave it out"
        )
    if command == "predict" and settings.images is not None and settings.split != "val":
        raise UserError(
            f"--images {settings.images} and --split {settings.split} are two sets of images; leave one out"
        )
    if command == "fit":
        _require_training(settings.trainer)
    require_usable(settings.trainer, command)


def _require_training(trainer: Namespace) -> None:
    """Lightning takes these values, and trains nothing, or not as asked."""
    for key in _TRAIN_NOTHING:
        if trainer[key] == 0:
            raise UserError(f"`trainer.{key}` (=0) must be at least 1, or nothing is trained; leave it out")
    _require_order(trainer, "min_epochs", "max_epochs")
    _require_order(trainer, "min_steps", "max_steps")
    _require_at_least(trainer, "accumulate_grad_batches", 1)
    _require_at_least(trainer, "num_sanity_val_steps", -1)
    _require_at_least(trainer, "gradient_clip_val", 0)
    if trainer.gradient_clip_algorithm and not trainer.gradient_clip_val:
        raise UserError(
            f"`trainer.gradient_clip_algorithm` (={trainer.gradient_clip_algorithm}) clips nothing without "
            "`trainer.gradient_clip_val`; give that a value above 0, or leave both out"
        )


def _require_order(trainer: Namespace, least: str, most: str) -> None:
    if trainer[least] is not None and trainer[most] is not None and 0 <= trainer[most] < trainer[least]:
        raise UserError(
            f"`trainer.{least}` (={trainer[least]}) must be at most `trainer.{most}` (={trainer[most]}), which ends "
            "the fit; change one of them"
        )


def _require_at_least(trainer: Namespace, key: str, least: int) -> None:
    value: Any = trainer[key]
    if value is not None and value < least:
        raise UserError(f"`trainer.{key}` (={value}) must be at least {least}; leave it out for the default")


def _require_one_start(command: str, settings: Namespace) -> None:
    """A command has one place to take its weights from, and one folder."""
    if command != "fit" and not settings.ckpt_path and not settings.weights:
        raise UserError(f"{command} needs the weights to evaluate: --ckpt_path RUN_FOLDER/checkpoints/best.ckpt")
    if settings.ckpt_path and settings.weights:
        raise UserError("--weights and --ckpt_path are both given, and only one can fill the net; leave one out")
    if settings.resume and (command != "fit" or settings.ckpt_path):
        raise UserError("--resume finds the checkpoint to resume from; give it to fit, without --ckpt_path")
    run_id = settings.run_id
    if run_id is None:
        return
    if not 1 <= len(run_id) <= 64 or not run_id.isascii() or not run_id.replace("-", "").replace("_", "").isalnum():
        raise UserError(
            f"`run_id` (={run_id!r}) must be 1 to 64 letters, digits, - and _: a folder and W&B have its name"
        )
    if settings.resume not in (None, "auto"):
        raise UserError(f"--run_id {run_id} and --resume {settings.resume} name two folders; give --resume auto")
