"""Builds objects from their plain description."""

import importlib
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from scconv_lab.errors import UserError

_PACKAGE = Path(__file__).parent.parent

Spec = dict[str, Any]
"""``{"class_path": "package.Class", "init_args": {...}}``: plain values, so that a checkpoint that holds one loads with
weights_only. ``init_args`` may be left out."""


def import_class(class_path: str) -> Any:
    """Import the class that a dotted path names."""
    module, _, name = class_path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def factory(key: str, spec: Spec) -> Callable[..., Any]:
    """Return the class that ``spec`` names, given its ``init_args``: what is missing is left to the caller.

    Args:
        key: Where the spec stands in an experiment file, for the message.
        spec: The class and its keyword arguments.

    Raises:
        UserError: (a ValueError) if ``spec`` has no ``class_path``.
    """
    if "class_path" not in spec:
        raise UserError(f"`{key}` (={spec}) must name a class: {{'class_path': 'package.Class', 'init_args': {{...}}}}")
    return partial(import_class(spec["class_path"]), **spec.get("init_args") or {})


def build(key: str, spec: Spec, *args: Any) -> Any:
    """Call the class that ``spec`` names with ``args`` and its ``init_args``.

    Raises:
        UserError: (a ValueError) as `factory` does, and if the class, or a library that it calls, refuses a value.
    """
    make = factory(key, spec)
    try:
        return make(*args)
    except ValueError as error:
        raise UserError(f"`{key}` ({spec['class_path']}): {error}") from error
    except Exception as error:
        if _is_ours(error):
            raise
        refusal = next(iter(str(error).splitlines()), "too large")
        raise UserError(f"`{key}` ({spec['class_path']}) cannot be built of these values: {refusal}") from error


def _is_ours(error: Exception) -> bool:
    """Whether code of this lab raised an error, and no library that was handed the user's values."""
    (*_, last) = traceback.extract_tb(error.__traceback__)
    return Path(last.filename).is_relative_to(_PACKAGE)
