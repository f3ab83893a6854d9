"""Finds classes of one's own: units, nets, data modules and callbacks in files next to an experiment."""

import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scconv_lab.config import read_yaml
from scconv_lab.errors import UserError

KEY = "own_code"
"""The key of a run's configuration that lists the folders."""
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_made_importable: list[Path] = []


def own_folders(files: Sequence[Path], arguments: Iterable[str]) -> list[Path]:
    """List the folders of the modules that a configuration names and that are not installed.

    Looked into, in this order: the folders that a file lists under `KEY`, the folder of each file, the working folder.

    Args:
        files: Configuration files.
        arguments: Words of a command line.
    """
    contents = [read_yaml(file) for file in files]
    listed = [folder for content in contents for folder in content.get(KEY) or [] if isinstance(folder, str)]
    places = [*map(Path, listed), *(file.parent for file in files), Path.cwd()]
    names = dict.fromkeys([*_names(contents), *_names_in(arguments)])
    found = (_folder_of(name, places) for name in names if not _is_installed(name.partition(".")[0]))
    return list(dict.fromkeys(folder for folder in found if folder))


def make_importable(folders: Iterable[Path]) -> None:
    """Let Python import the modules of the folders; what is installed comes first.

    Raises:
        UserError: (a ValueError) if a module of the same name was imported from another of such folders.
    """
    for folder in folders:
        for other in _made_importable:
            twice = {path.name for path in folder.glob("*.py")} & {path.name for path in other.glob("*.py")}
            for name in twice if folder != other else ():
                if (loaded := sys.modules.get(name.removesuffix(".py"))) and loaded.__file__ == str(other / name):
                    raise UserError(f"{folder / name} and {other / name} are modules of one name; rename one of them")
        if folder not in _made_importable:
            _made_importable.append(folder)
            sys.path.append(str(folder))


@contextmanager
def named_errors(folders: Sequence[Path]) -> Iterator[None]:
    """Raise as UserError, with file and line, what a module of the folders raises while it is imported."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        if isinstance(error, SyntaxError) and error.filename:
            frames.append((error.filename, error.lineno))
        own = [(file, line) for file, line in frames if any(Path(file).is_relative_to(folder) for folder in folders)]
        if not own:
            raise
        file, line = own[-1]
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UserError(f"{file}, line {line}: {type(error).__name__}: {text}") from error


def _names(value: Any) -> Iterator[str]:
    """The dotted names that a configuration's values are."""
    if isinstance(value, Mapping):
        yield from _names([*value.values()])
    elif isinstance(value, list):
        for item in value:
            yield from _names(item)
    elif isinstance(value, str) and _DOTTED.fullmatch(value):
        yield value


def _names_in(arguments: Iterable[str]) -> Iterator[str]:
    """The dotted names in the values of a command line."""
    for argument in arguments:
        value = argument.partition("=")[2] if argument.startswith("-") else argument
        yield from _DOTTED.findall(value)


def _is_installed(module: str) -> bool:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return module in sys.modules
    if spec is None:
        return False
    places = [Path(place).parent for place in spec.submodule_search_locations or [spec.origin or ""]]
    return not any(place in _made_importable for place in places)


def _folder_of(name: str, places: Iterable[Path]) -> Path | None:
    first, second, *_ = name.split(".")
    for place in places:
        package = place / first
        if any(file.is_file() for file in (place / f"{first}.py", package / "__init__.py", package / f"{second}.py")):
            return Path(os.path.abspath(place))
    return None
