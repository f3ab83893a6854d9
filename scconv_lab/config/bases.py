"""Turns an experiment file into the ordered list of configuration files that it builds on."""

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scconv_lab import shipped
from scconv_lab.config import yaml_text
from scconv_lab.errors import UserError
from scconv_lab.messages import nearest

_MOST_BYTES = 4_000_000


def expand_arguments(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Put the bases of every ``--config`` file before it.

    Returns:
        The arguments, and the name of the first ``--config`` file without its suffix: the experiment.
    """
    expanded: list[str] = []
    experiment: str | None = None
    rest = iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option not in ("--config", "-c"):
            expanded.append(argument)
            continue
        file = value if equals else next(rest, None)
        if not file:
            raise UserError("--config needs a file, such as --config experiments/baseline.yaml")
        experiment = experiment or Path(file).stem
        for path in expand_bases(shipped.locate(file)):
            expanded += ["--config", str(path)]
    shipped.say_used()
    return expanded, experiment


def expand_bases(path: Path) -> list[Path]:
    """List the files that ``path`` builds on, each after its own bases, and ``path`` itself last.

    An experiment's ``bases:`` is a list of files, relative to the file that names them. Later files override earlier
    ones key by key; a file that is reached twice keeps its first place.

    Raises:
        UserError: (a ValueError) if a file is missing, is not a YAML mapping, or builds on itself.
    """
    order: list[Path] = []
    _visit(path, [], order)
    return order


def _visit(path: Path, trail: list[Path], order: list[Path]) -> None:
    if path in trail:
        circle = " -> ".join(map(str, [*trail[trail.index(path) :], path]))
        raise UserError(f"`bases` go round in a circle: {circle}; remove one of them")
    if path in order:
        return
    for base in _bases(path, named_by=trail[-1] if trail else None):
        _visit(base, [*trail, path], order)
    order.append(path)


def _bases(path: Path, *, named_by: Path | None) -> list[Path]:
    source = f"`bases` of {named_by}" if named_by else "--config"
    bases = read_yaml(path, source=source).get("bases") or []
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise UserError(f"{path}: `bases` (={bases!r}) must be a list of files, relative to this file's folder")
    return [shipped.locate(base, named_by=path) for base in bases]


def read_yaml(path: Path, *, source: str = "--config") -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Args:
        path: The file.
        source: What names it, for the message.

    Raises:
        UserError: (a ValueError) if the file is missing, unreadable, or not a mapping.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or path.resolve().is_relative_to("/proc"):
            raise OSError("it is not a file")  # a device, a pipe or a kernel's file may never end
        if status.st_size > _MOST_BYTES:
            raise OSError(f"it has {status.st_size:,} bytes, and a configuration at most {_MOST_BYTES:,}")
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{source} names {path}, which is not there{_nearest_file(path)}") from None
    except (OSError, ValueError) as error:  # a name with a zero byte, text that is not UTF-8
        raise UserError(f"{source} names {path}, which cannot be read: {error}") from error
    try:
        content = yaml_text.load(text)
    except RecursionError:
        raise UserError(f"{path} is nested too deeply to be read; a few levels are enough") from None
    except Exception as error:  # YAML's own errors, and those of the Python type that a tag names
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold a mapping of keys to values, and holds a {type(content).__name__}")
    return content


def _nearest_file(path: Path) -> str:
    siblings = [str(sibling) for sibling in path.parent.glob(f"*{path.suffix}")] if path.parent.is_dir() else []
    return nearest(str(path), [*siblings, *shipped.siblings(path)])
