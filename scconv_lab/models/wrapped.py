"""What nets that wrap another library's model have in common: names, arguments, and what to say of a refusal."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from scconv_lab.errors import UserError
from scconv_lab.messages import first_line


def unknown_name(library: str, name: str, names: Sequence[str]) -> UserError:
    """Say that a library has no model of that name, and which come near."""
    near = difflib.get_close_matches(name, names, n=5)
    offer = f"near misses: {', '.join(near)}" if near else f"it has {len(names)}, such as {', '.join(names[:3])}"
    return UserError(f"`name` (={name!r}) is no classification model of {library}; {offer}")


def model_arguments(model_args: dict[str, Any] | None, *, reserved: Sequence[str]) -> dict[str, Any]:
    """Give further arguments for a library's model, or raise UserError if they hold one that the net itself sets."""
    taken = [name for name in reserved if name in (model_args or {})]
    if taken:
        raise UserError(f"`model_args` must not hold {taken[0]!r}, which the net sets by itself; leave it out")
    return dict(model_args or {})


def refusal(library: str, name: str, model_args: Mapping[str, object], error: Exception) -> UserError:
    """Say that a library does not build a model as asked."""
    return UserError(
        f"{library} refuses to build `name` (={name!r}) with `model_args` (={dict(model_args)}): "
        f"{type(error).__name__}: {first_line(error)}; correct `model_args` or leave them out"
    )
