"""The configurations and experiments that come with the package: `configs/` and `experiments/` of its repository."""

import os
import sys
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path

FOLDERS = ("configs", "experiments")
"""The folders that come with the package; a wheel has them next to this file."""
_NAMED = 3
_used: dict[Path, bool] = {}


def root() -> Path:
    """Return the folder that holds `FOLDERS`: this one where the package was installed, else the repository."""
    here = Path(__file__).parent
    return here if all((here / folder).is_dir() for folder in FOLDERS) else here.parent.parent


def locate(name: str | Path, *, named_by: Path | None = None) -> Path:
    """Return a file by its name or, where there is none, the file of the same name that comes with the package.

    Args:
        name: Relative to the file that names it, or to the working folder. An absolute name is itself.
        named_by: The file that names it; None is the command line.

    Returns:
        ``experiments/baseline.yaml`` if that is there, else that of the package; a name that neither has is itself.
    """
    path = _normal(named_by.parent / name) if named_by else Path(name)
    if Path(name).is_absolute() or os.path.lexists(path):
        return path
    for candidate in _candidates(path, Path(name), named_by):
        if candidate.parts[:1] and candidate.parts[0] in FOLDERS and os.path.isfile(root() / candidate):
            _used.setdefault(candidate, False)
            return root() / candidate
    return path


def _candidates(path: Path, name: Path, named_by: Path | None) -> Iterator[Path]:
    """What a file may be called in the package: as it is written, or by where it would be."""
    if named_by is None:
        yield _normal(path)
        return
    yield Path(*dropwhile(lambda part: part == "..", _normal(name).parts))
    starts = [index for index, part in enumerate(_normal(named_by.parent).parts) if part in FOLDERS]
    yield from (Path(*path.parts[start:]) for start in starts[-1:])


def names() -> list[str]:
    """List the files of the package, as a command line names them."""
    return [str(file.relative_to(root())) for folder in FOLDERS for file in sorted((root() / folder).rglob("*.yaml"))]


def siblings(path: Path) -> list[str]:
    """List the files of the package that are in the folder of ``path`` there, as a command line names them."""
    return [name for name in names() if Path(name).parent == _normal(path).parent]


def say_used() -> None:
    """Print, once for each, which files of the package `locate` has returned."""
    new = [str(name) for name, said in _used.items() if not said]
    _used.update(dict.fromkeys(_used, True))
    if new and os.environ.get("LOCAL_RANK", os.environ.get("SLURM_PROCID", "0")) == "0":
        names = ", ".join(new if len(new) <= _NAMED else [*new[: _NAMED - 1], f"{len(new) - _NAMED + 1} more"])
        print(f"scconv-lab: from the package: {names} (`scconv-lab init FOLDER` copies them)", file=sys.stderr)


def typed(command: str) -> str:
    """Return a command as a person types it: with ``uv run`` before it in a clone of the repository."""
    return f"uv run {command}" if (root() / "uv.lock").is_file() else command


def _normal(path: str | Path) -> Path:
    """Without ``a/../``, so that a file has one name; still relative where it was."""
    return Path(os.path.normpath(path))
