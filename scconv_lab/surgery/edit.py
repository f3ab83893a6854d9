"""Puts units into a built net."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import nn

from scconv_lab.errors import UserError
from scconv_lab.surgery.adapt import (
    ChannelPolicy,
    DilationPolicy,
    KernelPolicy,
    Parallel,
    Policies,
    StridePolicy,
    build,
    stand_in,
)
from scconv_lab.surgery.looks import UniqueParams, held_elsewhere, require_usable
from scconv_lab.surgery.norms import following_norm
from scconv_lab.surgery.report import Edit, SurgeryReport
from scconv_lab.surgery.sites import PAPER, Selector, mark, select_sites

Action = Literal["replace", "insert_after", "insert_before_norm", "insert_before", "parallel"]
_WRAPPERS = {
    "DistributedDataParallel": "a DistributedDataParallel; operate on its .module, before it is wrapped",
    "DataParallel": "a DataParallel; operate on its .module, before it is wrapped",
    "FullyShardedDataParallel": "a FullyShardedDataParallel; operate on the net before it is wrapped",
    "FSDPModule": "an FSDPModule; operate on the net before fully_shard",
    "OptimizedModule": "compiled (an OptimizedModule); operate on its ._orig_mod, before torch.compile",
    "ScriptModule": "a ScriptModule; operate on the net before it is scripted or traced",
}


def apply_surgery(
    net: nn.Module,
    unit: Callable[..., nn.Module],
    *,
    sites: Selector = PAPER,
    action: Action = "replace",
    stride_policy: StridePolicy = "pool_before",
    channel_policy: ChannelPolicy = "unit",
    kernel_policy: KernelPolicy = "unit",
    dilation_policy: DilationPolicy = "site",
) -> SurgeryReport:
    """Put a unit at chosen convolutions of a net, in place.

    Works on any ``nn.Module``, and on nothing but its ``nn.Conv2d``: every other tensor stays as it is. Call it before
    the optimizer exists and before the net is wrapped or compiled. Each unit takes device, dtype, training mode and
    memory format of its convolution. A convolution that stands in several places gets one unit, shared in the same
    way. Hooks of a replaced convolution, and whether it was frozen, are not taken over. If any site cannot be edited,
    none is.

    A unit is made by ``unit(channels)``; where it stands in for a convolution that changes the shape, also with those
    of ``out_channels``, ``stride``, ``kernel_size`` and ``dilation`` that the policies ask for.

    Args:
        net: The net to change.
        unit: Makes the unit for a number of channels: a class such as `scconv_lab.nn.SRU`, or a partial of it.
        sites: Where: "paper" (the 3x3 of a bottleneck and a dense layer, the second 3x3 of a basic block), a glob over
            the names of the convolutions such as "layer4.*.conv2", a mapping of conditions such as {kernel_size: 3,
            stage: [3, 4]}, or a list of these; see `scconv_lab.surgery.select_sites`.
        action: "replace" puts the unit in place of the convolution. The others let it stand: "insert_after" and
            "insert_before" put the unit right behind it or before it (a Sequential of "conv" and "unit"),
            "insert_before_norm" before the norm that follows it (a Sequential of "unit" and "norm" there), "parallel"
            beside it, both outputs added.
        stride_policy: Where the unit stands in for, or beside, a strided convolution: "pool_before" averages windows of
            the stride before the unit, so that it works at the lower resolution as the convolution did, "pool_after"
            behind it; "unit" leaves it to the unit (CRU's `stride_in`).
        channel_policy: Where the convolution changes the number of channels: "unit" leaves it to the unit (CRU's
            equation 11 and SRU's 1x1 projection), "project_before" and "project_after" add a 1x1 convolution.
        kernel_policy: "unit" keeps the unit's own kernel_size, "site" gives it the convolution's. Units without a
            kernel have nothing to take.
        dilation_policy: "site" gives the unit the convolution's dilation, "unit" leaves it undilated. Units without
            a kernel have nothing to take.

    Returns:
        The sites with what stood there before and after, and the parameters of both.

    Raises:
        UserError: (a ValueError) if nothing matches, any site cannot be edited (the message names each), or the net is
            already wrapped or compiled.
    """
    if action not in get_args(Action):
        raise UserError(f"`action` (={action!r}) must be one of {', '.join(map(repr, get_args(Action)))}")
    _require_factory(unit)
    policies = Policies(stride_policy, channel_policy, kernel_policy, dilation_policy)
    _require_bare(net)
    names = select_sites(net, sites)
    modules = dict(net.named_modules(remove_duplicate=False))
    channels_last = _is_channels_last(net)
    edits: list[Edit] = []
    refused: dict[str, str] = {}
    successors: dict[nn.Module, nn.Module] = {}
    count = UniqueParams(net)
    held = held_elsewhere(modules)
    for site in names:
        conv = modules[site]
        assert isinstance(conv, nn.Conv2d)
        try:
            require_usable(conv)
            place = following_norm(modules, site) if action == "insert_before_norm" else site
            there = modules[place]
            if there in successors:
                continue
            if there in held:
                raise UserError(held[there])
            part, built = _part(unit, conv, action, policies)
        except ValueError as error:
            refused[site] = str(error)
            continue
        part.to(conv.weight.dtype).train(conv.training)
        if channels_last:
            part.to(memory_format=torch.channels_last)
        successor = successors[there] = _join(action, part, there)
        successor.training = conv.training
        path = next(name for name, module in successor.named_modules(prefix=place) if module is built)
        mark(built, site)
        edits.append(Edit(site, path, _one_line(there), _one_line(successor), *count.swap(there, successor)))
    if refused:
        raise UserError(_say_refused(refused, len(names)))
    for name, module in modules.items():
        if module in successors:
            net.set_submodule(name, successors[module])
    return SurgeryReport(type(net.get_submodule(edits[0].unit)).__name__, action, tuple(edits))


def _part(
    unit: Callable[..., nn.Module], conv: nn.Conv2d, action: Action, policies: Policies
) -> tuple[nn.Module, nn.Module]:
    """What comes into the net at a convolution, and the unit in it."""
    with torch.device(conv.weight.device):
        if action in ("replace", "parallel"):
            return stand_in(unit, conv, policies)
        built = build(unit, conv.in_channels if action == "insert_before" else conv.out_channels)
        return built, built


def _join(action: Action, part: nn.Module, there: nn.Module) -> nn.Module:
    """What stands at a place in the end: a part, and what was there."""
    match action:
        case "replace":
            return part
        case "parallel":
            return Parallel(there, part)
        case "insert_after":
            return nn.Sequential(OrderedDict(conv=there, unit=part))
        case "insert_before":
            return nn.Sequential(OrderedDict(unit=part, conv=there))
        case "insert_before_norm":
            return nn.Sequential(OrderedDict(unit=part, norm=there))


def _require_factory(unit: object) -> None:
    if isinstance(unit, nn.Module) or not callable(unit):
        what = f"a {type(unit).__name__} that is built already" if isinstance(unit, nn.Module) else repr(unit)
        raise UserError(
            f"`unit` (={what}) must make a unit of a number of channels, one for each site: a class such as SRU, or "
            "functools.partial of one"
        )


def _require_bare(net: nn.Module) -> None:
    """Raise UserError if the net, or a part of it, is wrapped or compiled: a change would not reach what is wrapped."""
    for name, module in net.named_modules():
        where = f"{name!r} in the net" if name else "the net"
        for wrapper, remedy in _WRAPPERS.items():
            if any(cls.__name__ == wrapper for cls in type(module).__mro__):
                raise UserError(f"{where} is {remedy}")
        if module._compiled_call_impl is not None:
            raise UserError(f"{where} is compiled; operate on it before .compile()")


def _is_channels_last(net: nn.Module) -> bool:
    return any(
        weight.dim() == 4 and weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
        for weight in net.parameters()
        if not nn.parameter.is_lazy(weight)
    )


def _say_refused(refused: dict[str, str], selected: int) -> str:
    shown = "; ".join(f"{site}: {reason}" for site, reason in list(refused.items())[:3])
    others = list(refused)[3:]
    more = f"; also {', '.join(others[:8])}{', ...' * (len(others) > 8)}" if others else ""
    return (
        f"no unit fits {len(refused)} of the {selected} selected sites: {shown}{more}; "
        "leave them out of `sites` ({'all': [..., {'not': ...}]}), or change the unit or the policy"
    )


def _one_line(module: nn.Module) -> str:
    """A module's type, and of a convolution its shape: "Conv2d(64, 128, 3x3/2, groups 32)", /2 the stride."""
    if isinstance(module, nn.Sequential):
        return " -> ".join(_one_line(part) for part in module)
    if isinstance(module, Parallel):
        return f"{_one_line(module.conv)} + {_one_line(module.unit)}"
    if not isinstance(module, nn.Conv2d):
        return type(module).__name__
    stride = f"/{_sizes(module.stride)}" if module.stride != (1, 1) else ""
    parts = [str(module.in_channels), str(module.out_channels), "x".join(map(str, module.kernel_size)) + stride]
    parts += [f"dilation {_sizes(module.dilation)}"] * (module.dilation != (1, 1))
    parts += [f"groups {module.groups}"] * (module.groups != 1)
    return f"{type(module).__name__}({', '.join(parts)})"


def _sizes(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes if len(set(sizes)) > 1 else sizes[:1]))
