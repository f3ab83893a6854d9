"""Finds the norm behind a convolution."""

from collections.abc import Mapping

from torch import nn

from scconv_lab.errors import UserError


def is_norm(module: nn.Module) -> bool:
    """Whether a module normalises: its class, or one that it derives from, is called a norm, and it has no weights
    but a norm's (as timm's ConvNormAct has)."""
    called_norm = any("Norm" in cls.__name__ for cls in type(module).__mro__)
    return called_norm and not any(isinstance(part, nn.Conv2d | nn.Linear) for part in module.modules())


def following_norm(modules: Mapping[str, nn.Module], site: str) -> str:
    """Name the norm that its module holds right behind a convolution, in the order in which they were made.

    Args:
        modules: The net's modules by qualified name.
        site: The convolution's name.

    Raises:
        UserError: (a ValueError) if something else follows, or nothing.
    """
    parent, _, own = site.rpartition(".")
    children = [(name, child) for name, child in modules[parent]._modules.items() if child is not None]
    behind = children[[name for name, _ in children].index(own) + 1 :]
    name, follower = next(
        (child for child in behind if not type(child[1]).__name__.startswith(("Identity", "Drop"))), ("", None)
    )
    if follower is None or not is_norm(follower):
        what = type(follower).__name__ if follower is not None else "nothing"
        raise UserError(f"{what} follows it in its module, and no norm; choose insert_after")
    return f"{parent}.{name}".removeprefix(".")
