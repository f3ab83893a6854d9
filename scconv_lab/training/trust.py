"""What a file of somebody else may ask for: the classes of the lab and of its libraries, and no other code."""

import importlib.util
import re
from collections.abc import Iterator, Mapping
from typing import Any

from scconv_lab.errors import UserError
from scconv_lab.training.spec import KINDS

_PLAIN = str | int | float | None


def require_trusted(description: Any, *, source: str) -> None:
    """Raise UserError unless all that a net's description names is of the lab or its libraries; nothing is imported.

    A module that is imported runs its code, so that its name is looked at first. `KINDS` says what is trusted; a class
    within another's ``init_args``, and a ``predicate`` of ``surgery.sites``, never is.

    Args:
        description: The arguments of a `Classifier`, as a file holds them.
        source: The file, for the message.
    """
    for key, value in _foreign(description, ""):
        if not isinstance(value, str):
            raise UserError(f"{source}: `{key}` holds a {type(value).__name__}; a description holds only plain values")
        packages = _packages(key.removesuffix(".class_path"))
        allowed = f"only classes of {', '.join(packages)} there" if packages else "no code there"
        raise UserError(
            f"{source}: `{key}` names {value!r} ({_origin(value)}), and importing it would run its code; a file may "
            f"name {allowed}; if you trust whoever made it, give --trust-code (from Python: trust_code=True)"
        )


def _foreign(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every part of a description that names code that is not trusted, or that is no plain value."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            inner = f"{key}.{name}" if key else str(name)
            if name == "class_path" and isinstance(item, str):
                if not _trusted(key, item):
                    yield inner, item
            elif name == "predicate" and key.startswith("surgery.sites"):
                yield inner, item
            else:
                yield from _foreign(item, inner)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _foreign(item, f"{key}.{index}")
    elif not isinstance(value, _PLAIN):
        yield key, value


def _trusted(key: str, class_path: str) -> bool:
    module = class_path.rpartition(".")[0]
    return any(module == package or module.startswith(f"{package}.") for package in _packages(key))


def _packages(key: str) -> tuple[str, ...]:
    return KINDS[key].trusted if key in KINDS else ()


def _origin(path: str) -> str:
    """Where the code lies that a dotted path would run; looking for the outermost package imports nothing."""
    try:
        found = importlib.util.find_spec(re.split("[.:]", path)[0])
    except (ImportError, OSError, ValueError):
        found = None
    if found is None:
        return "which is not on this machine"
    return f"of {found.origin or next(iter(found.submodule_search_locations or []), 'an unknown place')}"
