"""Builds objects from their plain description, and says whose descriptions may import which code."""

import importlib
import importlib.util
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from scconv_lab.errors import UserError
from scconv_lab.models import Net
from scconv_lab.nn import Unit

_PACKAGE = Path(__file__).parent.parent

Spec = dict[str, Any]
"""``{"class_path": "package.Class", "init_args": {...}}``: plain values, so that a checkpoint that holds one loads with
weights_only. ``init_args`` may be left out."""

_KNOWN: dict[type, tuple[str, ...]] = {
    Net: ("scconv_lab.models",),
    Unit: ("scconv_lab.nn", "torch.nn"),
    Optimizer: ("torch.optim",),
    LRScheduler: ("torch.optim", "lightning.pytorch.cli"),
}
"""What belongs where, and the packages of which a file may name any such class."""
_WAY_OUT = "if you trust the author of the file, add --trust-code (trust_code=True in Python)"
_reading: ContextVar[Path | None] = ContextVar("reading", default=None)


@contextmanager
def descriptions_from(file: Path | str, *, trust_code: bool) -> Iterator[None]:
    """Let descriptions name only classes of the lab and of torch inside the block: they are from a file, which may lie.

    Args:
        file: The file, for the message.
        trust_code: Whether its author is trusted to import and run any code here; then nothing is refused.
    """
    token = _reading.set(None if trust_code else Path(file))
    try:
        yield
    finally:
        _reading.reset(token)


def resolve_class(key: str, spec: Any, base: type) -> type:
    """Import the class that ``spec`` names, once it is clear that it may be.

    Args:
        key: Where the spec stands in an experiment file, for the message.
        spec: The class and its keyword arguments.
        base: What the class has to be a subclass of.

    Raises:
        UserError: (a ValueError) if ``spec`` has no ``class_path``; if it is read from a file (`descriptions_from`) and
            names code of another package than the lab and torch, which is not imported; or if there is no such
            subclass of ``base``, which is not called.
    """
    class_path = spec.get("class_path") if isinstance(spec, Mapping) else None
    if not isinstance(class_path, str):
        raise UserError(f"`{key}` (={spec}) must name a class: {{'class_path': 'package.Class', 'init_args': {{...}}}}")
    module, _, name = class_path.rpartition(".")
    if (file := _reading.get()) and not _is_in(module, _KNOWN.get(base, ())):
        raise UserError(
            f"{file}: `{key}` names {class_path!r}, and loading it would import and run {_where(module)}, which is "
            f"neither the lab's nor torch's; {_WAY_OUT}"
        )
    try:
        if not all(part.isidentifier() for part in class_path.split(".")) or not module:
            raise ImportError("it is no dotted path")
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"`{key}` names {class_path!r}, which is not there: {error}") from error
    if not inspect.isclass(found) or not issubclass(found, base):
        raise UserError(
            f"`{key}` names {class_path!r}, which is no {base.__name__}; name a subclass of {base.__module__}."
            f"{base.__qualname__}"
        )
    return found


def factory(key: str, spec: Any, base: type) -> Callable[..., Any]:
    """Return the class that ``spec`` names, given its ``init_args``: what is missing is left to the caller.

    Raises:
        UserError: (a ValueError) as `resolve_class` does, or if ``init_args`` is no mapping.
    """
    cls = resolve_class(key, spec, base)
    given = spec.get("init_args") or {}
    if not isinstance(given, Mapping):
        raise UserError(f"`{key}.init_args` (={given!r}) must hold arguments and their values")
    return partial(cls, **given)


def build(key: str, spec: Any, *args: Any, base: type) -> Any:
    """Call the class that ``spec`` names with ``args`` and its ``init_args``.

    Raises:
        UserError: (a ValueError) as `factory` does, and if the class, or a library that it calls, refuses a value.
    """
    make = factory(key, spec, base)
    try:
        return make(*args)
    except ValueError as error:
        raise UserError(f"`{key}` ({spec['class_path']}): {error}") from error
    except Exception as error:
        if _is_ours(error):
            raise
        refusal = next(iter(str(error).splitlines()), "too large")
        raise UserError(f"`{key}` ({spec['class_path']}) cannot be built of these values: {refusal}") from error


def require_no_code(key: str, value: Any) -> None:
    """Raise UserError if a value that is read from a file (`descriptions_from`) names a function to be called.

    Args:
        key: Where the value stands.
        value: A selector of sites, whose ``predicate`` is the dotted path of a function.
    """
    file = _reading.get()
    if file is None:
        return
    if isinstance(value, Mapping):
        if "predicate" in value:
            raise UserError(
                f"{file}: `{key}` names the function {value['predicate']!r}, and loading it would import and call it; "
                f"{_WAY_OUT}"
            )
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            require_no_code(key, item)


def _is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _where(module: str) -> str:
    """A module and its file, which is looked for without running anything."""
    top = module.partition(".")[0]
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        found = None
    return f"{module!r} ({(found and found.origin) or 'not found here'})"


def _is_ours(error: Exception) -> bool:
    """Whether code of this lab raised an error, and no library that was handed the user's values."""
    (*_, last) = traceback.extract_tb(error.__traceback__)
    return Path(last.filename).is_relative_to(_PACKAGE)
