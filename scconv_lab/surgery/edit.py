"""Puts units into a built net."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import nn

from scconv_lab.errors import UserError
from scconv_lab.surgery.adapt import StridePolicy, require_same_channels, require_same_size, with_stride
from scconv_lab.surgery.report import Edit, SurgeryReport
from scconv_lab.surgery.sites import PAPER, select_sites

Action = Literal["replace", "insert_after"]


def apply_surgery(
    net: nn.Module,
    unit: Callable[[int], nn.Module],
    *,
    sites: str | Sequence[str] = PAPER,
    action: Action = "replace",
    stride_policy: StridePolicy = "pool_before",
) -> SurgeryReport:
    """Put a unit at chosen convolutions of a net, in place.

    Works on any ``nn.Module``, and on nothing but its ``nn.Conv2d``: every other tensor stays as it is. Call it before
    the optimizer exists and before the net is wrapped or compiled. Each unit takes device, dtype and training mode of
    its convolution. A convolution that stands in several places gets one unit, shared in the same way. Hooks of a
    replaced convolution, and whether it was frozen, are not taken over. If any site cannot be edited, none is.

    Args:
        net: The net to change.
        unit: Makes the unit for a number of channels: a class such as `scconv_lab.nn.SRU`, or a partial of it.
        sites: Where: "paper" (the middle 3x3 of a bottleneck, the second 3x3 of a basic block), a glob over the names
            of the convolutions such as "layer4.*.conv2", or a list of these.
        action: "replace" puts the unit in place of the convolution, "insert_after" lets the convolution stand and puts
            the unit behind it, before whatever follows (a Sequential of "conv" and "unit").
        stride_policy: What a strided convolution becomes when it is replaced: "pool_before" averages before the unit.

    Returns:
        The sites with what stood there before and after, and the parameters of both.

    Raises:
        UserError: (a ValueError) if nothing matches, a replaced convolution changes the number of channels, or its
            size other than by its stride, or the unit cannot be built for a site's channels.
    """
    if action not in get_args(Action):
        raise UserError(f"`action` (={action!r}) must be one of {', '.join(map(repr, get_args(Action)))}")
    if stride_policy not in get_args(StridePolicy):
        policies = ", ".join(map(repr, get_args(StridePolicy)))
        raise UserError(f"`stride_policy` (={stride_policy!r}) must be one of {policies}")
    edits: list[Edit] = []
    successors: dict[nn.Module, nn.Module] = {}
    unit_name = ""
    for site in select_sites(net, sites):
        conv = net.get_submodule(site)
        assert isinstance(conv, nn.Conv2d)
        if conv in successors:
            continue
        if action == "replace":
            require_same_channels(site, conv)
            require_same_size(site, conv)
        built = _build(unit, site, conv)
        unit_name = type(built).__name__
        if action == "replace":
            successor = with_stride(built, conv.stride, policy=stride_policy)
        else:
            successor = nn.Sequential(OrderedDict(conv=conv, unit=built))
        successors[conv] = successor
        edits.append(Edit(site, _one_line(conv), _one_line(successor), _params(conv), _params(successor)))
    for name, module in list(net.named_modules(remove_duplicate=False)):
        if module in successors:
            net.set_submodule(name, successors[module])
    return SurgeryReport(unit_name, action, tuple(edits))


def _build(unit: Callable[[int], nn.Module], site: str, conv: nn.Conv2d) -> nn.Module:
    with torch.device(conv.weight.device):
        try:
            built = unit(conv.out_channels)
        except ValueError as error:
            raise UserError(f"no unit fits site {site!r}: {error}") from error
    return built.to(conv.weight.dtype).train(conv.training)


def _one_line(module: nn.Module) -> str:
    """A module's type and arguments, without its parts."""
    if isinstance(module, nn.Sequential):
        return " -> ".join(_one_line(part) for part in module)
    return f"{type(module).__name__}({module.extra_repr()})"


def _params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
