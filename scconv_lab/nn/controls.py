"""Controls: units that tell what ScConv does from what any cheaper convolution, gate or rescaling does."""

import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from scconv_lab.errors import UserError
from scconv_lab.messages import choose_one_of, require_choice, require_positive
from scconv_lab.nn.unit import Unit, divisors, require_input

Budget = Literal["own", "scconv"]

_BUDGET_TOLERANCE = 0.01


def scconv_params(channels: int, *, out_channels: int | None = None, kernel_size: int = 3) -> int:
    """Count the parameters of `scconv_lab.nn.ScConv` at its defaults: the budget of its controls.

    SRU's gamma and beta, equation 11 at alpha = 1/2 and r = g = 2, and GWC's bias. With C channels in, O out, and
    ``u = C // 2 // 2`` and ``l = (C - C // 2) // 2`` squeezed channels::

        2 C  +  (C // 2) u + (C - C // 2) l  +  k^2 u O / 2 + u O + l (O - l)  +  O

    Where ScConv's two groups do not divide u and O, the k^2 term is rounded down.

    Raises:
        UserError: (a ValueError) where no ScConv can be: fewer than 4 channels, or fewer channels out than ``l``.
    """
    c, o = channels, channels if out_channels is None else out_channels
    up, low = c // 2 // 2, (c - c // 2) // 2
    if not up or low > o:
        raise UserError(
            f"`budget` (='scconv') has no value for {c} channels in and {o} out: ScConv needs 4 in, and out at least "
            "a quarter of them; choose budget='own', or another site"
        )
    return 2 * c + c // 2 * up + (c - c // 2) * low + kernel_size**2 * up * o // 2 + up * o + low * (o - low) + o


class GroupConv(Unit):
    """A group-wise convolution in place of a dense one: what fewer weights, without reconstruction, buy.

    Maps (B, channels, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride)). With ``budget="own"`` it is one
    convolution (Krizhevsky et al., NeurIPS 2012; Xie et al., CVPR 2017) of ``k^2 C O / groups`` weights. With
    ``budget="scconv"`` a 1x1 convolution to n channels comes before it, ``n C + k^2 n O / groups`` weights in all, with
    n and the groups searched for: of the groups that bring the weights within 1 % of `scconv_params`, those nearest to
    ``groups``; if none do, the groups and n that come nearest to it.

    At C = O, k = 3 and the default groups the weights differ from ScConv's by +0.00 % at C = 64 (8 groups), -0.43 % at
    128, +0.21 % at 256 and +0.54 % at 512 (4 groups each); by +3.1 % at 16 and +6.6 % at 32, the nearest that more than
    one group can come. Whole nets, replaced at the paper's sites: ResNet-20 +0.26 %, ResNet-56 +0.25 %, ResNet-50
    +0.06 %. The budget is one of parameters; MACs follow it, but that the 1x1 convolution works before the stride.

    Nothing stands between or behind the convolutions, and none has a bias: a net's norm follows.

    Args:
        channels: Channels of the input.
        groups: Groups of the convolution: divisors of channels and out_channels with ``budget="own"``, the number
            wished for with ``budget="scconv"``.
        budget: "scconv" for as many parameters as ScConv has at its defaults, "own" for the literature's plain form.
        out_channels: Channels of the output; None is ``channels``.
        kernel_size: Width of the convolution; odd, padded to keep H and W.
        stride: How many times lower and narrower the output is.
        dilation: Distance of the convolution's taps.
        device: Where the parameters are made; None is torch's default.
        dtype: Of which type they are; None is torch's default.

    Raises:
        UserError: (a ValueError) on an unknown budget, groups that do not divide both channels with ``budget="own"``,
            an even kernel, or channels for which there is no ScConv.
    """

    def __init__(
        self,
        channels: int,
        *,
        groups: int = 4,
        budget: Budget = "scconv",
        out_channels: int | None = None,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        out = channels if out_channels is None else out_channels
        require_positive("groups", groups)
        spatial = _spatial(channels, out, kernel_size, stride, dilation) | {"device": device, "dtype": dtype}
        require_choice("budget", budget, get_args(Budget))
        self.channels = channels
        self.budget: Budget = budget
        if budget == "scconv":
            groups, inner = _fitting_groups(channels, out, kernel_size, wished=groups)
            self.pointwise = nn.Conv2d(channels, inner, 1, bias=False, device=device, dtype=dtype)
            self.gwc = nn.Conv2d(inner, out, groups=groups, **spatial)
            return
        if channels % groups or out % groups:
            raise UserError(
                f"`channels` (={channels}) and `out_channels` (={out}) must be divisible by `groups` (={groups}); "
                f"{choose_one_of(divisors(channels, out))} groups"
            )
        self.pointwise = nn.Identity()
        self.gwc = nn.Conv2d(channels, out, groups=groups, **spatial)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride))."""
        if not torch.jit.is_scripting():
            require_input(x, channels=self.channels, unit="GroupConv")
        return self.gwc(self.pointwise(x))

    def extra_repr(self) -> str:
        """What the search found, for ``print(net)``."""
        return f"{self.gwc.in_channels} -> {self.gwc.out_channels}, groups={self.gwc.groups}, budget={self.budget!r}"


class DepthwiseSeparableConv(Unit):
    """A depth-wise k x k convolution, then a point-wise 1 x 1 (Howard et al. 2017, arXiv:1704.04861, section 3.1).

    Maps (B, channels, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride)). Unlike MobileNet's it has no norm
    and no activation inside, as ScConv has none, and no bias: a net's norm follows. With ``budget="own"`` it has
    ``C (k^2 + O)`` weights. With ``budget="scconv"`` a 1x1 convolution to n channels comes before it,
    ``n (C + k^2 + O)`` weights in all, with the n that comes nearest to `scconv_params`.

    At C = O and k = 3 the weights differ from ScConv's by +0.74 % at C = 64, +0.43 % at 128, -0.20 % at 256 and
    -0.10 % at 512; by -3.9 % at 16 and +0.97 % at 32. Whole nets, replaced at the paper's sites: ResNet-20 and
    ResNet-56 +0.10 %, ResNet-50 -0.02 %. The budget is one of parameters; MACs follow it, but that the first 1x1
    convolution works before the stride.

    Args:
        channels: Channels of the input.
        budget: "scconv" for as many parameters as ScConv has at its defaults, "own" for the literature's plain form.
        out_channels: Channels of the output; None is ``channels``.
        kernel_size: Width of the depth-wise convolution; odd, padded to keep H and W.
        stride: How many times lower and narrower the output is; taken by the depth-wise convolution.
        dilation: Distance of the depth-wise convolution's taps.
        device: Where the parameters are made; None is torch's default.
        dtype: Of which type they are; None is torch's default.

    Raises:
        UserError: (a ValueError) on an unknown budget, an even kernel, or channels for which there is no ScConv.
    """

    def __init__(
        self,
        channels: int,
        *,
        budget: Budget = "scconv",
        out_channels: int | None = None,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        out = channels if out_channels is None else out_channels
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        spatial = _spatial(channels, out, kernel_size, stride, dilation) | factory
        require_choice("budget", budget, get_args(Budget))
        self.channels = channels
        self.budget: Budget = budget
        inner, self.expand = channels, nn.Identity()
        if budget == "scconv":
            target = scconv_params(channels, out_channels=out, kernel_size=kernel_size)
            inner = max(1, round(target / (channels + kernel_size**2 + out)))
            self.expand = nn.Conv2d(channels, inner, 1, bias=False, **factory)
        self.depthwise = nn.Conv2d(inner, inner, groups=inner, **spatial)
        self.pointwise = nn.Conv2d(inner, out, 1, bias=False, **factory)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride))."""
        if not torch.jit.is_scripting():
            require_input(x, channels=self.channels, unit="DepthwiseSeparableConv")
        return self.pointwise(self.depthwise(self.expand(x)))

    def extra_repr(self) -> str:
        """What the search found, for ``print(net)``."""
        return f"{self.depthwise.in_channels} -> {self.pointwise.out_channels}, budget={self.budget!r}"


class SE(Unit):
    """Weighs each channel by what all channel means say: squeeze and excitation (Hu et al., CVPR 2018, section 3).

    ``y = x sigmoid(W2 relu(W1 S + b1) + b2)`` with S the mean of each channel, and ``channels // reduction`` values
    after W1. Input and output are (B, channels, H, W). It is torchvision's ``SqueezeExcitation``.

    Args:
        channels: Channels of the input and the output.
        reduction: How many times fewer values W1 leaves; at most ``channels``.
        device: Where the parameters are made; None is torch's default.
        dtype: Of which type they are; None is torch's default.

    Raises:
        UserError: (a ValueError) on a reduction that leaves no value.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        require_positive("channels", channels)
        require_positive("reduction", reduction)
        if reduction > channels:
            raise UserError(
                f"`reduction` (={reduction}) must be at most `channels` (={channels}), to leave one value; "
                f"{choose_one_of(divisors(channels)[::-1])}"
            )
        self.channels = channels
        from torchvision.ops import SqueezeExcitation  # units load torch alone until one needs more

        self.se = SqueezeExcitation(channels, channels // reduction)
        if device is not None or dtype is not None:
            self.se.to(device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        if not torch.jit.is_scripting():
            require_input(x, channels=self.channels, unit="SE")
        return self.se(x)


def _spatial(channels: int, out_channels: int, kernel_size: int, stride: int, dilation: int) -> dict[str, Any]:
    """The arguments of a convolution that maps H to ceil(H / stride), after a look at all of them."""
    named = {"channels": channels, "out_channels": out_channels, "kernel_size": kernel_size}
    for name, value in (named | {"stride": stride, "dilation": dilation}).items():
        require_positive(name, value)
    if kernel_size % 2 == 0:
        raise UserError(
            f"`kernel_size` (={kernel_size}) must be odd to keep H and W; choose {kernel_size - 1} or {kernel_size + 1}"
        )
    padding = dilation * (kernel_size // 2)
    return {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation, "bias": False}


def _fitting_groups(channels: int, out_channels: int, kernel_size: int, *, wished: int) -> tuple[int, int]:
    """Groups and inner width of a `GroupConv` that meets ScConv's budget; one group would be a dense convolution."""
    target = scconv_params(channels, out_channels=out_channels, kernel_size=kernel_size)
    fits = []
    for groups in divisors(out_channels)[1:] or [1]:
        weights_per_width = groups * channels + kernel_size**2 * out_channels
        width = max(1, round(target / weights_per_width))
        fits.append((abs(width * weights_per_width / target - 1), groups, groups * width))
    within = [fit for fit in fits if fit[0] <= _BUDGET_TOLERANCE]
    _, groups, inner = min(within, key=lambda fit: abs(math.log(fit[1] / wished))) if within else min(fits)
    return groups, inner
