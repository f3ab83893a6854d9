"""Channel Reconstruction Unit (Li, Wen, He, CVPR 2023, section 3.2)."""

import math

import torch
from torch import Tensor, nn

from scconv_lab import ops
from scconv_lab.errors import UserError
from scconv_lab.nn.unit import Unit, choose_one_of, divisors, require_choice, require_positive


class CRU(Unit):
    """Splits the channels, transforms a rich and a cheap branch, and fuses them by their channel means.

    Equations 5-9 of the paper. Input and output are (B, channels, H, W), H and W free. With
    ``up = floor(alpha * channels)`` and ``low = channels - up``:

    - split and squeeze: 1x1 convs take the first ``up`` channels to ``floor(up / squeeze_ratio)``, and the rest to
      ``floor(low / squeeze_ratio)``
    - equation 5: ``Y1 = GWC(upper) + PWC(upper)``, each to all channels, GWC group-wise and kernel_size wide
    - equation 6: ``Y2 = concat(PWC(lower), lower)``
    - equations 7-9: `scconv_lab.ops.cru_fuse`

    It stands in for a kernel_size convolution of as many channels in and out, at about a fifth of its parameters by
    default (equation 11: 1.8125 C^2 against 9 C^2). GWC alone has a bias, as in public code; the paper does not say.

    Args:
        channels: Channels of the input and the output; a multiple of ``groups``.
        alpha: Share of the channels in the upper, rich branch; between 0 and 1.
        squeeze_ratio: How many times fewer channels the 1x1 convs leave each branch; 1 squeezes nothing.
        groups: Groups of the group-wise convolution; a divisor of the channels and of the squeezed upper branch.
        kernel_size: Width of the group-wise convolution; odd, padded to keep H and W.
        fusion: "pairwise" weighs the two branches of a channel against each other (equation 8); "joint" takes one
            softmax over all 2 * channels means, as all public code does.

    Raises:
        UserError: (a ValueError) on an alpha outside (0, 1), a split that leaves a squeezed branch empty or not
            divisible by the groups, groups that do not divide the channels, an even kernel, or an unknown fusion.
    """

    def __init__(
        self,
        channels: int,
        *,
        alpha: float = 0.5,
        squeeze_ratio: int = 2,
        groups: int = 2,
        kernel_size: int = 3,
        fusion: ops.Fusion = "pairwise",
    ):
        super().__init__()
        require_positive("channels", channels)
        require_positive("squeeze_ratio", squeeze_ratio)
        require_positive("groups", groups)
        require_positive("kernel_size", kernel_size)
        require_choice("fusion", fusion, ops.FUSIONS)
        if not 0 < alpha < 1:
            raise UserError(
                f"`alpha` (={alpha}) must lie between 0 and 1, both excluded: it is the share of the channels in the "
                "upper branch; the paper's value is 0.5"
            )
        if kernel_size % 2 == 0:
            raise UserError(
                f"`kernel_size` (={kernel_size}) must be odd to keep H and W; "
                f"choose {kernel_size - 1} or {kernel_size + 1}"
            )
        if channels % groups:
            up_squeezed = _upper_channels(channels, alpha) // squeeze_ratio
            fitting = divisors(channels, up_squeezed) if up_squeezed else divisors(channels)
            raise UserError(
                f"`channels` (={channels}) must be divisible by `groups` (={groups}); {choose_one_of(fitting)} groups"
            )
        up = _upper_channels(channels, alpha)
        up_squeezed, low_squeezed = up // squeeze_ratio, (channels - up) // squeeze_ratio
        if not up_squeezed or not low_squeezed or up_squeezed % groups:
            raise UserError(_bad_split(channels, alpha, squeeze_ratio, groups))

        self.channels = channels
        self.alpha = alpha
        self.fusion: ops.Fusion = fusion
        self.split_sizes = [up, channels - up]
        self.squeeze_up = nn.Conv2d(up, up_squeezed, 1, bias=False)
        self.squeeze_low = nn.Conv2d(channels - up, low_squeezed, 1, bias=False)
        self.gwc = nn.Conv2d(up_squeezed, channels, kernel_size, padding=kernel_size // 2, groups=groups)
        self.pwc_up = nn.Conv2d(up_squeezed, channels, 1, bias=False)
        self.pwc_low = nn.Conv2d(low_squeezed, channels - low_squeezed, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        up, low = x.split(self.split_sizes, dim=1)
        up, low = self.squeeze_up(up), self.squeeze_low(low)
        y1 = self.gwc(up) + self.pwc_up(up)
        y2 = torch.cat((self.pwc_low(low), low), dim=1)
        return ops.cru_fuse(y1, y2, fusion=self.fusion)

    def extra_repr(self) -> str:
        """The arguments that the convolutions do not show, for ``print(net)``."""
        return f"{self.channels}, alpha={self.alpha}, fusion={self.fusion!r}"


def _upper_channels(channels: int, alpha: float) -> int:
    return math.floor(alpha * channels + 1e-6)  # 0.29 * 100 is 28.999999999999996


def _bad_split(channels: int, alpha: float, squeeze_ratio: int, groups: int) -> str:
    up = _upper_channels(channels, alpha)
    fitting = [
        n / channels
        for n in range(1, channels)
        if n // squeeze_ratio and (channels - n) // squeeze_ratio and n // squeeze_ratio % groups == 0
    ]
    nearest = [f"{value:.10g}" for value in sorted(fitting, key=lambda value: abs(value - alpha))]
    if channels == 1:
        way_out = "a single channel cannot be split"
    elif fitting:
        way_out = f"{choose_one_of(nearest)} for `alpha`"
    else:
        way_out = "choose a smaller `squeeze_ratio` or `groups`"
    return (
        f"`alpha` (={alpha}) with `squeeze_ratio` (={squeeze_ratio}) splits `channels` (={channels}) into branches of "
        f"{up // squeeze_ratio} and {(channels - up) // squeeze_ratio} squeezed channels; both need at least 1, "
        f"and the upper (first) one a multiple of `groups` (={groups}); {way_out}"
    )
