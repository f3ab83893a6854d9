"""Opens the folder that a command writes to: a new run's, an earlier one's that a fit resumes, or a checkpoint's."""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_only

from scconv_lab.config import yaml_text
from scconv_lab.errors import DONE, UserError
from scconv_lab.run_folder import lock, resume
from scconv_lab.run_folder.files import write_whole
from scconv_lab.run_folder.history import History
from scconv_lab.run_folder.layout import EVALUATIONS, RunFolder
from scconv_lab.run_folder.results import Finished

_NAMED = "SCCONV_LAB_RUN_FOLDER"
"""Environment variable by which a run's first process names the folder to those that it starts."""
_ID_BYTES = 4


class AlreadyFinished(Exception):  # noqa: N818  # no error
    """The run that was asked for has nothing left to train.

    Args:
        finished: The run, and what it reached.
    """

    exit_code = DONE

    def __init__(self, finished: Finished) -> None:
        super().__init__(str(finished))


@dataclass(frozen=True)
class OpenRun:
    """The folder of the command that runs.

    Args:
        folder: The folder; it is there, and locked, once a fit's first process has opened it.
        earlier: What an earlier process left in it to resume.
        wandb_id: Id of the run in W&B; None where W&B draws one.
        new: Whether this process began the run.
    """

    folder: RunFolder
    earlier: resume.Earlier | None = None
    wandb_id: str | None = None
    new: bool = False

    @rank_zero_only
    def abandon(self) -> None:
        """Remove what a fit wrote that ended before its first step, so that no run seems to have begun."""
        if not self.new:
            return
        for file in (self.folder.config, self.folder.history, self.folder.lock):
            file.unlink(missing_ok=True)
        for folder in (self.folder.path / "wandb", self.folder.path, self.folder.path.parent):
            with suppress(OSError):  # it holds something, or another process was faster
                folder.rmdir()


def open_fit(settings: Namespace, name: str, resolved: dict[str, Any], defaults: Mapping[str, Any]) -> OpenRun:
    """Choose the folder of a fit, lock it, and write there what a later process needs to resume it.

    Args:
        settings: The configuration of the command.
        name: The run's name.
        resolved: The same configuration as plain values, with which the run can be repeated.
        defaults: The defaults of its keys, dotted.

    Raises:
        AlreadyFinished: ``--resume`` finds that the run has finished.
        BusyError: Another process works on the run.
        UserError: ``run_id`` is taken, or ``--resume`` cannot be followed; see `resume.find`.
    """
    root = Path(settings.trainer.default_root_dir)
    runs = root if settings.run_id else root / name
    first_named = os.environ.get(_NAMED) if os.environ.get("LOCAL_RANK", "0") != "0" else None
    if first_named:
        left = resume.look_into(Path(first_named), resolved, defaults)
        return OpenRun(RunFolder(Path(first_named)), left if isinstance(left, resume.Earlier) else None)
    with lock.writing(root):
        found = _find(settings, runs, resolved, defaults)
        folder = RunFolder(found.folder if found else _new_folder(runs, settings.run_id))
        given = History(folder.history).id or _wandb_id(folder, settings.run_id)
        _begin(folder, resolved, given, resuming=found is not None)
    os.environ[_NAMED] = str(folder.path)
    return OpenRun(folder, found, given, new=found is None)


def open_evaluation(settings: Namespace, name: str) -> OpenRun:
    """Choose the folder that receives what evaluating a checkpoint gives.

    The run's that the checkpoint is of; for a file from elsewhere a new one below ``EVALUATIONS``.
    """
    given = settings.ckpt_path or settings.weights
    run = RunFolder(Path(given).parent.parent) if given else None
    if run and run.begun and run.checkpoints == Path(given).parent:
        return OpenRun(run)
    return OpenRun(RunFolder(_new_folder(Path(settings.trainer.default_root_dir) / EVALUATIONS / name)))


def close() -> None:
    """Let the next run of this process choose its own folder."""
    os.environ.pop(_NAMED, None)
    lock.release()


def _find(
    settings: Namespace, runs: Path, resolved: dict[str, Any], defaults: Mapping[str, Any]
) -> resume.Earlier | None:
    if not settings.resume:
        return None
    asked = str(runs / settings.run_id) if settings.run_id else settings.resume
    if settings.run_id and not RunFolder(Path(asked)).begun:
        return None
    found = resume.find(asked, runs, resolved, defaults, claim=_lock)
    if isinstance(found, Finished):
        raise AlreadyFinished(found)
    return found


@rank_zero_only
def _lock(path: Path) -> None:
    lock.take(path)


@rank_zero_only
def _begin(folder: RunFolder, resolved: dict[str, Any], wandb_id: str, *, resuming: bool) -> None:
    """Write what a later process needs, the configuration last: where that is, a run has begun."""
    if not resuming:
        if folder.begun:
            raise UserError(
                f"`run_id` (={folder.path.name!r}) is taken: {folder.path} holds a run; --resume auto resumes it"
            )
        lock.take(folder.path)
    if not folder.history.is_file():
        History(folder.history).restart(wandb_id, before=None)
    write_whole(folder.config, yaml_text.dump(resolved))


def _wandb_id(folder: RunFolder, run_id: str | None) -> str:
    """The W&B run's id: another than that of a run of the same name that was set aside."""
    if run_id is None:
        return secrets.token_hex(_ID_BYTES)
    return f"{run_id}-{folder.times_replaced + 1}" if folder.times_replaced else run_id


def _new_folder(parent: Path, name: str | None = None) -> Path:
    """``parent/name``, or a name by the time that no folder has yet."""
    if name:
        return parent / name
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    names = (stamp, *(f"{stamp}-{count}" for count in range(2, 1000)))
    return next(parent / each for each in names if not (parent / each).exists())
