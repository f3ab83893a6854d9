"""Builds objects from their plain description."""

import importlib
import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from scconv_lab.data import ImageDataModule
from scconv_lab.errors import UserError
from scconv_lab.messages import first_line
from scconv_lab.models import Net

_PACKAGE = Path(__file__).parent.parent

Spec = dict[str, Any]
"""``{"class_path": "package.Class", "init_args": {...}}``: plain values, so that a checkpoint that holds one loads with
weights_only. ``init_args`` may be left out."""


@dataclass(frozen=True)
class Kind:
    """Which classes may stand at a key.

    Attributes:
        base: The class that they have in common.
        trusted: Modules, and what is in them, whose classes a file of somebody else may name; see
            `scconv_lab.training.trust`.
    """

    base: type
    trusted: tuple[str, ...] = ()


KINDS = {
    "net": Kind(Net, ("scconv_lab.models",)),
    "surgery.unit": Kind(nn.Module, ("scconv_lab.nn", "torch.nn", "torchvision.ops", "timm.layers")),
    "optimizer": Kind(Optimizer, ("torch.optim", "timm.optim")),
    "lr_scheduler": Kind(LRScheduler, ("torch.optim.lr_scheduler",)),
    "data": Kind(ImageDataModule),
}
"""What each key of a description builds."""


def import_class(key: str, class_path: Any) -> type:
    """Import the class that a dotted path names, without a call.

    Args:
        key: Where the path stands in an experiment file: one of `KINDS`.
        class_path: ``module.Class``.

    Raises:
        UserError: (a ValueError) if there is no such module or class, or the class is none that belongs at ``key``.
    """
    parts = class_path.split(".") if isinstance(class_path, str) else []
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise UserError(f"`{key}` (={class_path!r}) must be the path of a class, such as 'package.Class'")
    *modules, name = parts
    try:
        module = importlib.import_module(".".join(modules))
    except ImportError as error:
        raise UserError(
            f"`{key}` names {class_path!r}, which cannot be imported ({error}); correct the path"
        ) from error
    if not hasattr(module, name):
        raise UserError(f"`{key}` names {class_path!r}, which is not in {module.__name__}; correct the path")
    found, base = getattr(module, name), KINDS[key].base
    if not inspect.isclass(found) or not issubclass(found, base):
        raise UserError(f"`{key}` names {class_path!r}, which must be a subclass of {base.__module__}.{base.__name__}")
    return found


def factory(key: str, spec: Spec) -> Callable[..., Any]:
    """Return the class that ``spec`` names, given its ``init_args``: what is missing is left to the caller.

    Args:
        key: Where the spec stands in an experiment file: one of `KINDS`.
        spec: The class and its keyword arguments.

    Raises:
        UserError: (a ValueError) if ``spec`` names no class, or none that belongs at ``key``.
    """
    if not isinstance(spec, dict) or "class_path" not in spec:
        raise UserError(f"`{key}` (={spec}) must name a class: {{'class_path': 'package.Class', 'init_args': {{...}}}}")
    arguments = spec.get("init_args") or {}
    if not isinstance(arguments, dict):
        raise UserError(f"`{key}.init_args` (={arguments!r}) must hold arguments and their values")
    return partial(import_class(key, spec["class_path"]), **arguments)


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
        refusal = first_line(error, otherwise="too large")
        raise UserError(f"`{key}` ({spec['class_path']}) cannot be built of these values: {refusal}") from error


def _is_ours(error: Exception) -> bool:
    """Whether code of this lab raised an error, and no library that was handed the user's values."""
    (*_, last) = traceback.extract_tb(error.__traceback__)
    return Path(last.filename).is_relative_to(_PACKAGE)
