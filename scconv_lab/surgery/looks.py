"""What surgery looks at before it changes a net: unusable convolutions, shared parameters, layers held elsewhere."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from scconv_lab.errors import UserError

_DEPTH = 4
_REGISTERED = {"_parameters", "_buffers", "_modules"}


def require_usable(conv: nn.Conv2d) -> None:
    """Raise UserError for a convolution that has no weights yet, or whose weights are no real numbers."""
    if nn.parameter.is_lazy(conv.weight):
        raise UserError(
            f"it is a {type(conv).__name__} that has seen no input, so its channels are not known; run the net once "
            "on an image first"
        )
    if not conv.weight.is_floating_point():
        what = "complex" if conv.weight.is_complex() else str(conv.weight.dtype)
        raise UserError(f"its weights are {what}, and a unit computes with real floating-point numbers")


class UniqueParams:
    """Counts what each swap of a module takes from a net and brings to it; tied parameters count once.

    Args:
        net: The net before any swap.
    """

    def __init__(self, net: nn.Module) -> None:
        self._holders: dict[nn.Parameter, set[nn.Module]] = {}
        for module in net.modules():
            for parameter in module.parameters(recurse=False):
                self._holders.setdefault(parameter, set()).add(module)

    def swap(self, there: nn.Module, successor: nn.Module) -> tuple[int, int]:
        """Note a swap, and return the parameters that the net has only for one and for the other."""
        kept = set(successor.modules())
        leaving = set(there.modules()) - kept
        before = after = 0
        for parameter in there.parameters():
            holders = self._holders[parameter]
            holders -= leaving
            before += 0 if holders - kept else parameter.numel()
        for parameter in successor.parameters():
            stays = self._holders.get(parameter, set()) - set(there.modules())
            after += 0 if stays else parameter.numel()
        for module in kept:
            for parameter in module.parameters(recurse=False):
                self._holders.setdefault(parameter, set()).add(module)
        return before, after


def held_elsewhere(modules: Mapping[str, nn.Module]) -> dict[nn.Module, str]:
    """Convolutions that a module also holds in a plain list, mapping or method, and would go on calling, with why."""
    held: dict[nn.Module, str] = {}
    for name, module in modules.items():
        for key, value in vars(module).items():
            if key in _REGISTERED:
                continue
            for part in _modules_in(value, _DEPTH):
                where = f"{name} ({type(module).__name__})" if name else type(module).__name__
                held[part] = (
                    f"{where} holds it in its attribute `{key}` too, and would call it there without the unit; "
                    "keep layers in nn.ModuleList or nn.ModuleDict, and call them by their names"
                )
    return held


def _modules_in(value: Any, depth: int) -> Iterator[nn.Module]:
    if not depth:
        return
    if isinstance(value, nn.Module):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _modules_in(item, depth - 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _modules_in(item, depth - 1)
    elif isinstance(owner := getattr(value, "__self__", None), nn.Module):
        yield owner
