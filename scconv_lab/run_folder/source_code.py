"""Which code a run's result depends on, as hashes of its sources: two edits differ, a new commit does not."""

import ast
import hashlib
import importlib.util
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import scconv_lab

_LAB = Path(scconv_lab.__file__).parent
_PARTS = ("ops", "nn", "models", "surgery", "data", "training", "fit")
_LAB_KEY = "scconv_lab"
_DIGITS = 12


def source_hashes(config: Mapping[str, Any]) -> dict[str, str]:
    """Hash the sources that decide a run's result.

    Args:
        config: The run's resolved configuration; the modules of the classes that it names are importable.

    Returns:
        SHA-256, shortened to 12 digits: under "scconv_lab" of the lab's own parts that a result depends on, and under
        its name of each module that is neither the lab's nor installed, those that it imports included.
    """
    own: dict[str, Path] = {}
    for class_path in _class_paths(config):
        _collect(class_path.rpartition(".")[0], own)
    lab = sorted(file for part in _PARTS for file in (_LAB / part).rglob("*.py"))
    hashes = {_LAB_KEY: _hash(*lab)}
    return hashes | {name: _hash(file) for name, file in sorted(own.items())}


def changed_sources(made_by: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Name the modules whose source differs between two results of `source_hashes`, or that only one has."""
    return sorted(name for name in made_by.keys() | here.keys() if made_by.get(name) != here.get(name))


def _class_paths(value: Any) -> Iterator[str]:
    """Every class and function that a configuration names."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in ("class_path", "predicate") and isinstance(item, str):
                yield item
            else:
                yield from _class_paths(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _class_paths(item)


def _collect(module: str, found: dict[str, Path]) -> None:
    """Add a module's file, and those of what it imports, unless it is the lab's, installed or a part of Python."""
    file = _file_of(module)
    if module in found or file is None or not _is_own(file):
        return
    found[module] = file
    _collect(module.rpartition(".")[0], found)
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for name in _imported(file, package):
        _collect(name, found)


def _file_of(module: str) -> Path | None:
    if not module:
        return None
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if loaded:
        return Path(loaded)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


def _is_own(file: Path) -> bool:
    installed = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    installed |= {*site.getsitepackages(), site.getusersitepackages(), str(_LAB)}
    return file.suffix == ".py" and not any(file.is_relative_to(folder) for folder in installed)


def _imported(file: Path, package: str) -> Iterator[str]:
    """The dotted names that a source file imports, wherever in it."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _hash(*files: Path) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return whole.hexdigest()[:_DIGITS]
