"""Makes a unit fit the convolution that it stands in for: what the paper leaves open, as policies."""

import copy
import inspect
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from scconv_lab.errors import UserError
from scconv_lab.meta import meta_copy, without_hooks
from scconv_lab.nn.unit import stride_pool

StridePolicy = Literal["pool_before", "pool_after", "unit"]
ChannelPolicy = Literal["unit", "project_before", "project_after"]
KernelPolicy = Literal["unit", "site"]
DilationPolicy = Literal["site", "unit"]
_REMEDIES = {
    "stride": "it has stride {conv.stride}, and the unit takes none; choose `stride_policy` pool_before or pool_after",
    "out_channels": (
        "it maps {conv.in_channels} to {conv.out_channels} channels, and the unit keeps their number; choose "
        "`channel_policy` project_before or project_after"
    ),
}


@dataclass(frozen=True)
class Policies:
    """How a unit takes the shape of the convolution that it replaces; see `scconv_lab.surgery.apply_surgery`."""

    stride_policy: StridePolicy = "pool_before"
    channel_policy: ChannelPolicy = "unit"
    kernel_policy: KernelPolicy = "unit"
    dilation_policy: DilationPolicy = "site"

    def __post_init__(self):
        for field in fields(self):
            value, choices = getattr(self, field.name), get_args(field.type)
            if value not in choices:
                raise UserError(f"`{field.name}` (={value!r}) must be one of {', '.join(map(repr, choices))}")


class Parallel(nn.Module):
    """A convolution and a unit side by side: the sum of what both make of the same input."""

    def __init__(self, conv: nn.Module, unit: nn.Module):
        super().__init__()
        self.conv = conv
        self.unit = unit

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to what the convolution maps it to."""
        return self.conv(x) + self.unit(x)


def stand_in(unit: Callable[..., nn.Module], conv: nn.Conv2d, policies: Policies) -> tuple[nn.Module, nn.Module]:
    """Build a module that maps every input to the shape to which the convolution maps it.

    Returns:
        The module, and the unit in it: the unit itself, or a Sequential of "pool", "project" and "unit" in their order.

    Raises:
        UserError: (a ValueError) if the convolution changes its input's size other than by its stride, the unit cannot
            take the convolution's shape under the policies, or cannot be built.
    """
    _require_only_convolves(conv)
    _require_same_size(conv)
    geometry: dict[str, int] = {}
    before: list[tuple[str, nn.Module]] = []
    after: list[tuple[str, nn.Module]] = []
    channels = conv.in_channels
    if conv.stride != (1, 1):
        if policies.stride_policy == "unit":
            geometry["stride"] = _square(conv.stride, "stride")
        else:
            side = before if policies.stride_policy == "pool_before" else after
            side.append(("pool", stride_pool((conv.stride[0], conv.stride[1]))))
    if conv.in_channels != conv.out_channels:
        if policies.channel_policy == "unit":
            geometry["out_channels"] = conv.out_channels
        else:
            side = before if policies.channel_policy == "project_before" else after
            side.append(("project", nn.Conv2d(conv.in_channels, conv.out_channels, 1, bias=False)))
            channels = conv.out_channels if policies.channel_policy == "project_before" else channels
    for key in geometry:
        if not _takes(unit, key):
            raise UserError(_REMEDIES[key].format(conv=conv))
    if policies.kernel_policy == "site" and _takes(unit, "kernel_size"):
        geometry["kernel_size"] = _square(conv.kernel_size, "kernel")
    if policies.dilation_policy == "site" and conv.dilation != (1, 1) and _takes(unit, "dilation"):
        geometry["dilation"] = _square(conv.dilation, "dilation")
    built = build(unit, channels, **geometry)
    _take_padding_mode(built, conv)
    return (nn.Sequential(OrderedDict([*before, ("unit", built), *after])) if before or after else built), built


def build(unit: Callable[..., nn.Module], channels: int, **geometry: int) -> nn.Module:
    """Make a unit.

    Raises:
        UserError: (a ValueError) if it cannot be made of these arguments, or what is made is no module.
    """
    try:
        built = unit(channels, **geometry)
    except TypeError as error:
        raise UserError(f"`unit` cannot be made of {channels} channels ({error}); give what can be") from error
    if not isinstance(built, nn.Module):
        raise UserError(f"`unit` makes {built!r} of {channels} channels, and no nn.Module; give a class such as SRU")
    return built


def _take_padding_mode(unit: nn.Module, conv: nn.Conv2d) -> None:
    """Pad as the convolution does, such as around a torus."""
    for part in unit.modules():
        if isinstance(part, nn.Conv2d) and part.kernel_size != (1, 1):
            part.padding_mode = conv.padding_mode


def _takes(unit: Callable[..., nn.Module], argument: str) -> bool:
    parameters = inspect.signature(unit).parameters
    return argument in parameters or any(p.kind == p.VAR_KEYWORD for p in parameters.values())


def _square(sizes: tuple[int, ...], what: str) -> int:
    if len(set(sizes)) != 1:
        raise UserError(f"its {what} {sizes} is not square, and a unit takes a single number")
    return sizes[0]


def _require_only_convolves(conv: nn.Conv2d) -> None:
    """Refuse a subclass with a norm or an activation; a convolution is affine, ``f(a) + f(b) = f(a + b) + f(0)``."""
    if type(conv) is nn.Conv2d:
        return
    tried = without_hooks(copy.deepcopy(conv)).train()
    generator = torch.Generator().manual_seed(0)
    a, b = (
        torch.randn(2, conv.in_channels, 9, 10, generator=generator).to(conv.weight.device, conv.weight.dtype)
        for _ in range(2)
    )
    if conv.weight.is_meta:
        return
    with torch.no_grad():
        try:
            left, right = tried(a) + tried(b), tried(a + b) + tried(torch.zeros_like(a))
        except (RuntimeError, TypeError):  # what it takes is for the next check to say
            return
    if not torch.allclose(left, right, rtol=0.05, atol=0.05 * float(right.abs().max())):
        raise UserError(
            f"it is a {type(conv).__name__}, which does more than convolve, and its norm or activation would be lost; "
            "choose insert_after, or take it apart into a convolution and the rest"
        )


def _require_same_size(conv: nn.Conv2d) -> None:
    """Try on tensors without values: some subclasses pad for themselves."""
    probe = meta_copy(conv)
    for length in range(61, 61 + max(2, *conv.stride)):  # every remainder of both axes
        size = (length, length + 1)
        expected = tuple(math.ceil(length / step) for length, step in zip(size, conv.stride, strict=True))
        x = torch.empty(1, conv.in_channels, *size, device="meta", dtype=conv.weight.dtype)
        try:
            made = tuple(probe.forward(x).shape[2:])
        except (RuntimeError, TypeError):
            made = "nothing"
        if made != expected:
            raise UserError(
                f"it is {conv} and makes {made} of {size}, while a unit makes {expected}: a unit replaces convolutions "
                "whose padding keeps height and width but for the stride"
            )
