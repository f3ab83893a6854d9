"""Builds objects from their plain description."""

import importlib
from typing import Any

from scconv_lab.errors import UserError

Spec = dict[str, Any]
"""``{"class_path": "package.Class", "init_args": {...}}``: plain values, so that a checkpoint that holds one loads with
weights_only. ``init_args`` may be left out."""


def import_class(class_path: str) -> Any:
    """Import the class that a dotted path names."""
    module, _, name = class_path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def build(key: str, spec: Spec, *args: Any) -> Any:
    """Call the class that ``spec`` names with ``args`` and its ``init_args``.

    Args:
        key: Where the spec stands in an experiment file, for the message.
        spec: The class and its keyword arguments.
        args: Positional arguments that come before them.

    Raises:
        UserError: (a ValueError) if ``spec`` has no ``class_path``, or the class refuses a value.
    """
    if "class_path" not in spec:
        raise UserError(f"`{key}` (={spec}) must name a class: {{'class_path': 'package.Class', 'init_args': {{...}}}}")
    try:
        return import_class(spec["class_path"])(*args, **spec.get("init_args") or {})
    except ValueError as error:
        raise UserError(f"`{key}` ({spec['class_path']}): {error}") from error
