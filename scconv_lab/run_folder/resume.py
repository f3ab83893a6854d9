"""Finds the run that a fit resumes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scconv_lab.config import read_yaml
from scconv_lab.errors import UserError
from scconv_lab.run_folder.checkpoint_io import load_verified
from scconv_lab.run_folder.configuration import differing
from scconv_lab.run_folder.layout import CHECKPOINTS, RunFolder
from scconv_lab.run_folder.results import Finished, finished

_OF_THE_MODEL = ("net", "surgery", "optimizer", "lr_scheduler")
"""Keys of a configuration that a checkpoint's description of the model holds as well."""


@dataclass(frozen=True)
class Earlier:
    """A run to resume.

    Args:
        folder: The run's folder.
        checkpoint: Its newest good checkpoint; None where it was killed before its first.
        step: The checkpoint's step.
        bad: Newer checkpoints that cannot be used.
        why: What is wrong with each of those.
    """

    folder: Path
    checkpoint: Path | None = None
    step: int = 0
    bad: tuple[Path, ...] = ()
    why: tuple[str, ...] = ()


def find(
    asked: str,
    runs: Path,
    config: dict[str, Any],
    defaults: Mapping[str, Any] | None = None,
    *,
    claim: Callable[[Path], None] = lambda folder: None,
) -> Earlier | Finished | None:
    """Find the run to resume.

    Args:
        asked: "auto" for the newest of ``runs`` that has the same configuration, one that has a checkpoint or has
            finished before one that was killed before its first; or a run's folder.
        runs: Folder of the runs of one name.
        config: The resolved configuration. Keys that change no weight may differ.
        defaults: The defaults of its keys, dotted: a key that an earlier version did not have may be at its default.
        claim: Called with the folder of an unfinished run before its checkpoints are read.

    Returns:
        The run with its last good checkpoint, or what it reached if it is finished; None if there is none ("auto").

    Raises:
        UserError: The configurations differ, with the keys; no checkpoint is good, with what is wrong with each; or the
            folder is none of a run.
    """
    folder = _newest(runs, config, defaults) if asked == "auto" else Path(asked)
    if folder is None:
        return None
    if not RunFolder(folder).begun:
        name = RunFolder(folder).config.name
        raise UserError(f"--resume {asked} is not the folder of a run: it has no {name}; or give auto")
    if not finished(folder):
        claim(folder)
    return look_into(folder, config, defaults)


def look_into(
    folder: Path, config: dict[str, Any], defaults: Mapping[str, Any] | None = None
) -> Earlier | Finished | None:
    """What a run's folder has to resume: see `find`; None if no run has begun there."""
    if not RunFolder(folder).begun:
        return None
    _require_same(folder, config, defaults)
    return finished(folder) or _last_good(folder, config, defaults)


def _newest(runs: Path, config: dict[str, Any], defaults: Mapping[str, Any] | None) -> Path | None:
    """The folder that "auto" means; UserError where only runs of other configurations could be resumed."""
    folders = sorted((path.parent for path in runs.glob(f"*/{RunFolder(runs).config.name}")), reverse=True)
    same = [folder for folder in folders if not differing(_configuration(folder), config, defaults)]
    for folder in same:
        if finished(folder) or _candidates(folder):
            return folder
    if same:
        return same[0]
    for folder in folders:
        if not finished(folder) and _candidates(folder):
            _require_same(folder, config, defaults)
    return None


def _configuration(folder: Path) -> dict[str, Any]:
    return read_yaml(RunFolder(folder).config, source="the run's folder")


def _require_same(folder: Path, config: dict[str, Any], defaults: Mapping[str, Any] | None) -> None:
    if found := differing(_configuration(folder), config, defaults):
        raise UserError(
            f"{folder} has another configuration: {'; '.join(found)}; "
            f"give the configuration it was started with ({RunFolder(folder).config}), or start anew without --resume"
        )


def _candidates(folder: Path) -> list[Path]:
    """The run's checkpoints to resume from, newest first; the best may be far older."""
    return [path for name in CHECKPOINTS if (path := RunFolder(folder).checkpoints / name).is_file()]


def _step(path: Path, config: dict[str, Any], defaults: Mapping[str, Any] | None) -> int:
    checkpoint = load_verified(path, map_location="meta", for_training=True)
    model = checkpoint["hyper_parameters"]
    described = {key: model[key] for key in _OF_THE_MODEL if key in model and key in config}
    if found := differing(checkpoint.get("configuration", config) | described, config, defaults):
        raise UserError(f"{path} was made with another configuration: {'; '.join(found)}")
    return checkpoint["global_step"]


def _last_good(folder: Path, config: dict[str, Any], defaults: Mapping[str, Any] | None) -> Earlier:
    bad: list[Path] = []
    why: list[str] = []
    for path in _candidates(folder):
        try:
            return Earlier(folder, path, _step(path, config, defaults), tuple(bad), tuple(why))
        except UserError as error:
            bad.append(path)
            why.append(str(error))
    if bad:
        raise UserError(
            f"no checkpoint of {folder} can be resumed: {'; '.join(why)}; start anew without --resume, "
            "or from only the weights by `--weights` and best.ckpt"
        )
    return Earlier(folder)
