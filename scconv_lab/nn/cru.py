"""Channel Reconstruction Unit (Li, Wen, He, CVPR 2023, section 3.2)."""

import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from scconv_lab import ops
from scconv_lab.errors import UserError
from scconv_lab.messages import choose_one_of, require_between, require_choice, require_positive
from scconv_lab.nn.unit import Unit, divisors, nearest_first, require_input, stride_pool

StrideIn = Literal["squeeze", "gwc"]

_PUBLIC_GROUPS = 2


class CRU(Unit):
    """Splits the channels, transforms a rich and a cheap branch, and fuses them by their channel means.

    Equations 5-9 of the paper. Input is (B, channels, H, W), H and W free, output (B, out_channels, ceil(H / stride),
    ceil(W / stride)). With ``up = floor(alpha * channels)`` and ``low = channels - up``:

    - split and squeeze: 1x1 convs take the first ``up`` channels to ``floor(up / squeeze_ratio)``, and the rest to
      ``floor(low / squeeze_ratio)``
    - equation 5: ``Y1 = GWC(upper) + PWC(upper)``, each to all out_channels, GWC group-wise and kernel_size wide
    - equation 6: ``Y2 = concat(PWC(lower), lower)``, where PWC fills up to out_channels
    - equations 7-9: `scconv_lab.ops.cru_fuse`

    It stands in for a kernel_size convolution, at about a fifth of its parameters by default: equation 11 is
    1.8125 C^2 against 9 C^2 for C channels in and out. GWC alone has a bias, as in public code; the paper does not say.
    Nor does it mention stride or dilation.

    Args:
        channels: Channels of the input.
        alpha: Share of the channels in the upper, rich branch; between 0 and 1.
        squeeze_ratio: How many times fewer channels the 1x1 convs leave each branch; 1 squeezes nothing.
        groups: Groups of the group-wise convolution; a common divisor of out_channels and the squeezed upper branch,
            or "auto" for the one nearest to 2.
        kernel_size: Width of the group-wise convolution; odd, padded to keep H and W.
        fusion: "pairwise" weighs the two branches of a channel against each other (equation 8); "joint" takes one
            softmax over all 2 * out_channels means, as all public code does.
        stride_in: Where a stride is taken: "squeeze", in both squeezes; "gwc", in GWC and the upper PWC, while the
            lower branch is averaged over windows of the stride.
        out_channels: Channels of the output, as equation 11 has them; None is ``channels``. At least as many as the
            squeezed lower branch has.
        stride: How many times lower and narrower the output is.
        dilation: Distance of GWC's taps.
        device: Where the parameters are made; None is torch's default.
        dtype: Of which type they are; None is torch's default.

    Raises:
        UserError: (a ValueError) on an alpha outside (0, 1), a split that leaves a squeezed branch empty, not divisible
            by the groups or wider than the output, groups that do not divide out_channels, an even kernel, or an
            unknown choice; in forward on an input that is not (B, channels, H, W) or of no floating-point type.
    """

    def __init__(
        self,
        channels: int,
        *,
        alpha: float = 0.5,
        squeeze_ratio: int = 2,
        groups: int | Literal["auto"] = 2,
        kernel_size: int = 3,
        fusion: ops.Fusion = "pairwise",
        stride_in: StrideIn = "squeeze",
        out_channels: int | None = None,
        stride: int = 1,
        dilation: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        out_channels = channels if out_channels is None else out_channels
        for name, value in {
            "channels": channels,
            "squeeze_ratio": squeeze_ratio,
            "kernel_size": kernel_size,
            "out_channels": out_channels,
            "stride": stride,
            "dilation": dilation,
        }.items():
            require_positive(name, value)
        require_choice("fusion", fusion, ops.FUSIONS)
        require_choice("stride_in", stride_in, get_args(StrideIn))
        require_between("alpha", alpha, 0, 1, "it is the share of the channels in the upper branch; the paper's is 0.5")
        if kernel_size % 2 == 0:
            raise UserError(
                f"`kernel_size` (={kernel_size}) must be odd to keep H and W; "
                f"choose {kernel_size - 1} or {kernel_size + 1}"
            )
        up = _upper_channels(channels, alpha)
        up_squeezed, low_squeezed = up // squeeze_ratio, (channels - up) // squeeze_ratio
        fitting = divisors(out_channels, up_squeezed) if up_squeezed else divisors(out_channels)
        if groups == "auto":
            groups = nearest_first(fitting, _PUBLIC_GROUPS)[0]
        require_positive("groups", groups)
        if out_channels % groups:
            name = "channels" if out_channels == channels else "out_channels"
            raise UserError(
                f"`{name}` (={out_channels}) must be divisible by `groups` (={groups}); "
                f"{choose_one_of(fitting)} groups, or 'auto'"
            )
        if not up_squeezed or not 0 < low_squeezed <= out_channels or up_squeezed % groups:
            raise UserError(_bad_split(channels, out_channels, alpha, squeeze_ratio, groups))

        self.channels = channels
        self.alpha = alpha
        self.fusion: ops.Fusion = fusion
        self.split_sizes = [up, channels - up]
        squeeze_stride, gwc_stride = (stride, 1) if stride_in == "squeeze" else (1, stride)
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        pointwise: dict[str, Any] = {"kernel_size": 1, "bias": False, **factory}
        self.squeeze_up = nn.Conv2d(up, up_squeezed, stride=squeeze_stride, **pointwise)
        self.squeeze_low = nn.Conv2d(channels - up, low_squeezed, stride=squeeze_stride, **pointwise)
        self.gwc = nn.Conv2d(
            up_squeezed,
            out_channels,
            kernel_size,
            stride=gwc_stride,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=groups,
            **factory,
        )
        self.pwc_up = nn.Conv2d(up_squeezed, out_channels, stride=gwc_stride, **pointwise)
        filled_up = out_channels - low_squeezed
        self.pwc_low = nn.Conv2d(low_squeezed, filled_up, **pointwise) if filled_up else None
        self.pool_low = stride_pool((stride, stride)) if gwc_stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride))."""
        if not torch.jit.is_scripting():
            require_input(x, channels=self.channels, unit="CRU")
        up, low = x.split(self.split_sizes, dim=1)
        up, low = self.squeeze_up(up), self.squeeze_low(low)
        if self.pool_low is not None:
            low = self.pool_low(low)
        y1 = self.gwc(up) + self.pwc_up(up)
        y2 = low if self.pwc_low is None else torch.cat((self.pwc_low(low), low), dim=1)
        return self.fuse(y1, y2)

    @torch.jit.ignore  # what is scripted calls it in Python
    def fuse(self, y1: Tensor, y2: Tensor) -> Tensor:
        """Add the branches, both (B, out_channels, h, w), by equations 7 to 9."""
        return ops.cru_fuse(y1, y2, fusion=self.fusion)

    def extra_repr(self) -> str:
        """The arguments that the convolutions do not show, for ``print(net)``."""
        return f"{self.channels}, alpha={self.alpha}, fusion={self.fusion!r}"


def _upper_channels(channels: int, alpha: float) -> int:
    return math.floor(alpha * channels + 1e-6)  # 0.29 * 100 is 28.999999999999996


def _bad_split(channels: int, out_channels: int, alpha: float, squeeze_ratio: int, groups: int) -> str:
    up = _upper_channels(channels, alpha)
    fitting = [
        n / channels
        for n in range(1, channels)
        if n // squeeze_ratio
        and 0 < (channels - n) // squeeze_ratio <= out_channels
        and n // squeeze_ratio % groups == 0
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
        f"the upper (first) one a multiple of `groups` (={groups}), the lower one at most `out_channels` "
        f"(={out_channels}); {way_out}"
    )
