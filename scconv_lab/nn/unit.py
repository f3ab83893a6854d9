"""What all units have in common, and the checks of their arguments."""

from collections.abc import Sequence
from inspect import signature

import torch
import torch.fx
from torch import Tensor, nn

from scconv_lab.errors import UserError


class _TakesChannels(type):
    """Lets a module of one's own stand where a unit is asked for, without deriving from `Unit`."""

    def __subclasscheck__(cls, other: type) -> bool:
        if super().__subclasscheck__(other):
            return True
        return cls is Unit and issubclass(other, nn.Module) and _takes_channels(other)


def _takes_channels(module: type) -> bool:
    """Whether a class can be built of the number of channels alone."""
    try:
        signature(module).bind(1)
    except (TypeError, ValueError):
        return False
    return True


class Unit(nn.Module, metaclass=_TakesChannels):
    """A module that keeps the shape of its input, unless it is asked to take a convolution's.

    The law: ``Unit(channels, *, ...)`` maps (B, channels, H, W) to (B, channels, H, W), so that a factory
    ``channels -> Unit`` can stand at any place of any net. A unit that can also take the shape of the convolution that
    it replaces has some of the arguments `GEOMETRY`, and maps to (B, out_channels, ceil(H / stride), ceil(W / stride)).

    A class counts as a unit (``issubclass``) if it derives from this one, or is any module that can be built of the
    number of channels alone.

    The lab's units can be traced, compiled and exported. ``torch.jit.script`` runs them too, but calls the formulas in
    Python, so that what is scripted cannot be saved; export it instead.
    """


def require_input(x: Tensor, *, channels: int, unit: str) -> None:
    """Refuse what a unit would take for something else; reads no value, so that nothing waits for a device.

    Args:
        x: The unit's input.
        channels: The channels that it has to have.
        unit: The unit's name, for the message.

    Raises:
        UserError: (a ValueError) unless ``x`` is (B, channels, H, W) of a floating-point type.
    """
    if is_traced(x):
        return
    if x.ndim != 4 or x.shape[1] != channels:
        raise UserError(
            f"{unit} of {channels} channels takes an input of shape (B, {channels}, H, W), and this one has "
            f"{tuple(x.shape)}"
        )
    if not x.is_floating_point():
        raise UserError(
            f"{unit} takes floating-point values, and this input has {x.dtype}; convert it first, an image by "
            "`x.float() / 255`"
        )


def is_traced(x: Tensor) -> bool:
    """Whether a tracer stands in for a tensor, of which it knows no shape."""
    return isinstance(x, torch.fx.Proxy) or torch.jit.is_tracing()


GEOMETRY = ("out_channels", "kernel_size", "stride", "dilation")
"""Arguments by which a unit takes the shape of the convolution that it replaces."""


def stride_pool(stride: tuple[int, int]) -> nn.AvgPool2d:
    """An average over windows of ``stride``, to (ceil(H / stride), ceil(W / stride)) like a padded convolution.

    Windows cut by the border average what they hold (ResNet-D's choice; He et al., CVPR 2019, section 4.2).
    """
    return nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)


def divisors(*numbers: int) -> list[int]:
    """The common divisors of positive whole numbers, ascending."""
    return [d for d in range(1, min(numbers) + 1) if all(number % d == 0 for number in numbers)]


def nearest_first(values: Sequence[int], value: int) -> list[int]:
    """The values by their distance from ``value``, the smaller of two as near first."""
    return sorted(values, key=lambda other: (abs(other - value), other))
