"""Finds the run that a fit goes on with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scconv_lab.config import read_yaml
from scconv_lab.errors import UserError
from scconv_lab.training.checkpoint import differences, flat
from scconv_lab.training.checkpoint_io import PREVIOUS, load_verified
from scconv_lab.training.files import write_whole

RESULTS = "results.json"
"""A run's file of final measures; a run that has one is finished."""

_WITHOUT_EFFECT = (
    "arm",
    "bases",
    "ckpt_path",
    "data.init_args.download",
    "data.init_args.num_workers",
    "data.init_args.root",
    "experiment",
    "final_test",
    "measure_cost",
    "resume",
    "run_id",
    "save_every",
    "trainer.default_root_dir",
    "trainer.enable_",
    "trainer.log_every_n_steps",
    "trainer.logger",
    "trainer.num_sanity_val_steps",
    "trainer.plugins",
    "trainer.profiler",
)
"""Keys, by how they begin, that change no weight: places, loggers, what is shown."""

_OF_THE_MODEL = ("net", "surgery", "optimizer", "lr_scheduler")
"""Keys of a configuration that a checkpoint's description of the model holds as well."""


@dataclass(frozen=True)
class Earlier:
    """A run to go on with.

    ``bad`` are newer checkpoints than ``checkpoint`` that cannot be used, ``why`` says what is wrong with each.
    """

    folder: Path
    checkpoint: Path
    step: int
    bad: tuple[Path, ...] = ()
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finished:
    """A run that has nothing left to train, and its final measures."""

    folder: Path
    results: dict[str, Any]

    def __str__(self) -> str:
        reached = [f"{key} {value:.4f}" for key, value in self.results.items() if isinstance(value, float)]
        return "  ".join([f"finished {self.folder}", *reached])


def find(asked: str, runs: Path, config: dict[str, Any]) -> Earlier | Finished | None:
    """Find the run to go on with.

    Args:
        asked: "auto" for the newest of ``runs`` that has the same configuration and a checkpoint; or a run's folder.
        runs: Folder of the runs of one name.
        config: The resolved configuration. Keys that change no weight may differ.

    Returns:
        The run with its last good checkpoint, or what it reached if it is finished; None if there is none ("auto").

    Raises:
        UserError: The configurations differ, with the keys; no checkpoint is good, with what is wrong with each; or the
            folder is none of a run.
    """
    if asked != "auto":
        folder = Path(asked)
        if not (folder / "config.yaml").is_file():
            raise UserError(f"--resume {asked} is not the folder of a run: it has no config.yaml; or give auto")
        earlier = look_into(folder, config)
        if earlier is None:
            raise UserError(f"--resume {asked} has no checkpoint to go on from; start anew without --resume")
        return earlier
    folders = sorted((path.parent for path in runs.glob("*/config.yaml")), reverse=True)
    for folder in folders:
        if not _differing(_configuration(folder), config) and (
            earlier := finished(folder) or _last_good(folder, config)
        ):
            return earlier
    for folder in folders:
        if not finished(folder) and _candidates(folder):
            _require_same(folder, config)
    return None


def look_into(folder: Path, config: dict[str, Any]) -> Earlier | Finished | None:
    """What a run's folder has to go on with: see `find`; None if that is nothing."""
    if not (folder / "config.yaml").is_file():
        return None
    _require_same(folder, config)
    return finished(folder) or _last_good(folder, config)


def effective(config: dict[str, Any]) -> dict[str, Any]:
    """The keys that a run's weights may depend on, dotted; what is None or empty is left out."""
    return {key: value for key, value in flat(config).items() if not key.startswith(_WITHOUT_EFFECT)}


def write_results(folder: Path, results: dict[str, Any]) -> None:
    """Mark a run as finished."""
    write_whole(folder / RESULTS, f"{json.dumps(results, indent=2)}\n")


def _differing(saved: dict[str, Any], config: dict[str, Any]) -> list[str]:
    return [text for key, text in differences(saved, config).items() if not key.startswith(_WITHOUT_EFFECT)]


def _configuration(folder: Path) -> dict[str, Any]:
    return read_yaml(folder / "config.yaml") or {}


def _require_same(folder: Path, config: dict[str, Any]) -> None:
    if differing := _differing(_configuration(folder), config):
        raise UserError(
            f"{folder} has another configuration: {'; '.join(differing)}; "
            "give the configuration it was started with (its config.yaml), or start anew without --resume"
        )


def finished(folder: Path) -> Finished | None:
    """What a run reached; None if it has not finished."""
    file = folder / RESULTS
    return Finished(folder, json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def _candidates(folder: Path) -> list[Path]:
    """The run's checkpoints to go on from, newest first; best.ckpt may lie far behind."""
    names = [name for pair in PREVIOUS.items() for name in pair]
    return [path for name in names if (path := folder / "checkpoints" / name).is_file()]


def _step(path: Path, config: dict[str, Any]) -> int:
    checkpoint = load_verified(path, map_location="meta")
    described = {key: checkpoint["hyper_parameters"].get(key, config.get(key)) for key in _OF_THE_MODEL}
    if differing := _differing(checkpoint.get("configuration", config) | described, config):
        raise UserError(f"{path} was made with another configuration: {'; '.join(differing)}")
    return checkpoint["global_step"]


def _last_good(folder: Path, config: dict[str, Any]) -> Earlier | None:
    bad: list[Path] = []
    why: list[str] = []
    for path in _candidates(folder):
        try:
            return Earlier(folder, path, _step(path, config), tuple(bad), tuple(why))
        except UserError as error:
            bad.append(path)
            why.append(str(error))
    if bad:
        raise UserError(
            f"no checkpoint of {folder} can be gone on from: {'; '.join(why)}; start anew without --resume, "
            "or from the weights alone by `--weights` and best.ckpt"
        )
    return None
