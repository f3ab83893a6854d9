"""Values that the types of the keys let pass and no command can use."""

from jsonargparse import Namespace

from scconv_lab.errors import UserError
from scconv_lab.run_folder.configuration import processes_of

_MOST = 1024  # threads and processes of one machine


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


def _require_one_start(command: str, settings: Namespace) -> None:
    """A command has one place to take its weights from, and one folder."""
    if command != "fit" and not settings.ckpt_path and not settings.weights:
        raise UserError(f"{command} needs the weights to evaluate: --ckpt_path RUN_FOLDER/checkpoints/best.ckpt")
    if settings.ckpt_path and settings.weights:
        raise UserError("--weights and --ckpt_path are both given, and only one can fill the net; leave one out")
    if settings.resume and (command != "fit" or settings.ckpt_path):
        raise UserError("--resume finds the checkpoint that fit goes on from; give it to fit, without --ckpt_path")
    run_id = settings.run_id
    if run_id is None:
        return
    if not 1 <= len(run_id) <= 64 or not run_id.isascii() or not run_id.replace("-", "").replace("_", "").isalnum():
        raise UserError(
            f"`run_id` (={run_id!r}) must be 1 to 64 letters, digits, - and _: a folder and W&B have its name"
        )
    if settings.resume not in (None, "auto"):
        raise UserError(f"--run_id {run_id} and --resume {settings.resume} name two folders; give --resume auto")
