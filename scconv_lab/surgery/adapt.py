"""Makes a unit fit the convolution that it stands in for."""

from collections import OrderedDict
from typing import Literal

from torch import nn

from scconv_lab.errors import UserError

StridePolicy = Literal["pool_before"]


def require_same_channels(site: str, conv: nn.Conv2d) -> None:
    """Raise UserError unless the convolution has as many channels in as out, as a unit has."""
    if conv.in_channels != conv.out_channels:
        raise UserError(
            f"site {site!r} maps {conv.in_channels} to {conv.out_channels} channels, but a unit keeps their number; "
            "leave the site out of `sites`, or insert the unit after it instead of replacing it"
        )


def require_same_size(site: str, conv: nn.Conv2d) -> None:
    """Raise UserError unless the convolution, but for its stride, keeps height and width."""
    kept = [dilation * (kernel - 1) for dilation, kernel in zip(conv.dilation, conv.kernel_size, strict=True)]
    if isinstance(conv.padding, str):
        keeps = conv.padding == "same"
    else:
        keeps = [2 * padding for padding in conv.padding] == kept
    if not keeps or conv.dilation != (1, 1):
        raise UserError(
            f"site {site!r} is {conv}: a unit replaces undilated convolutions whose padding keeps height and width; "
            "leave the site out of `sites`, or insert the unit after it instead of replacing it"
        )


def with_stride(unit: nn.Module, stride: tuple[int, ...], *, policy: StridePolicy) -> nn.Module:
    """Give a unit, which has no stride of its own, the stride of the convolution that it replaces.

    ``pool_before`` averages ``stride x stride`` windows before the unit, so that the unit works at the lower
    resolution, as the strided convolution did. Windows cut by the border average what they hold: the output is
    ceil(H / stride) high, like a padded 3x3 convolution's (ResNet-D's choice; He et al., CVPR 2019, section 4.2).

    Returns:
        The unit itself for stride 1, else a Sequential of "pool" and "unit".
    """
    assert policy == "pool_before"
    if all(step == 1 for step in stride):
        return unit
    pool = nn.AvgPool2d((stride[0], stride[1]), ceil_mode=True, count_include_pad=False)
    return nn.Sequential(OrderedDict(pool=pool, unit=unit))
