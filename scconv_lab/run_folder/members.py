"""Which runs a sweep has: a run that two sweeps share is in both of their files."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scconv_lab.errors import UserError
from scconv_lab.run_folder import lock
from scconv_lab.run_folder.files import write_whole


@dataclass(frozen=True)
class Member:
    """A run of a sweep: the name of its folder, its arm and its seed."""

    run: str
    arm: str
    seed: int


@dataclass(frozen=True)
class Launch:
    """The runs of a sweep as it was launched.

    Args:
        configs: Files for all runs, as ``--config`` named them.
        keys: Keys for all runs, as ``--set KEY=VALUE`` gave them.
        runs: All of its runs, whichever were chosen.
    """

    configs: tuple[str, ...]
    keys: tuple[str, ...]
    runs: tuple[Member, ...]

    def __str__(self) -> str:
        words = [*(f"--config {file}" for file in self.configs), *(f"--set {key}" for key in self.keys)]
        return " ".join(words) or "no options"


def members_file(root: Path, sweep: str) -> Path:
    """The file of a sweep's members, next to the folders of the runs."""
    return root / f"{sweep}.json"


def note_launch(root: Path, sweep: str, launch: Launch) -> Path:
    """Write which runs a sweep has; other launches, with other files or keys for all runs, are kept."""
    file = members_file(root, sweep)
    with lock.writing(root):
        others = [each for each in _read(file) if (each.configs, each.keys) != (launch.configs, launch.keys)]
        text = f"{json.dumps({'sweep': sweep, 'launches': [asdict(each) for each in (launch, *others)]}, indent=1)}\n"
        if not file.is_file() or file.read_text(encoding="utf-8", errors="replace") != text:
            write_whole(file, text)
    return file


def launches(root: Path, sweep: str) -> list[Launch]:
    """The launches of a sweep, the last first; empty if it was never launched here.

    Raises:
        UserError: Its file is damaged.
    """
    file = members_file(root, sweep)
    found = _read(file)
    if not found and file.is_file():
        raise UserError(f"{file} is damaged; launch the sweep again with `scconv-lab sweep`, and it is written anew")
    return found


def _read(file: Path) -> list[Launch]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        earlier = [{"configs": (), "keys": (), "runs": content["runs"]}] if "runs" in content else content["launches"]
        return [_launch(each) for each in earlier]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []


def _launch(content: Any) -> Launch:
    runs: Sequence[dict[str, Any]] = content["runs"]
    members = tuple(Member(str(run["run"]), str(run["arm"]), int(run["seed"])) for run in runs)
    return Launch(tuple(map(str, content["configs"])), tuple(map(str, content["keys"])), members)
