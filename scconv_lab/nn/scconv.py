"""Spatial and Channel Reconstruction Convolution (Li, Wen, He, CVPR 2023, section 3), and the ways it has been read."""

from typing import Any, Literal, NoReturn, get_args

import torch
from torch import Tensor

from scconv_lab import ops
from scconv_lab.errors import UserError
from scconv_lab.messages import nearest, require_choice
from scconv_lab.nn.cru import CRU, StrideIn
from scconv_lab.nn.sru import SRU
from scconv_lab.nn.unit import Unit, require_input, stride_pool

Order = Literal["sru_cru", "cru_sru", "parallel"]


class ScConv(Unit):
    """SRU and CRU in one unit that stands in for a 3x3 convolution.

    Input is (B, channels, H, W), H and W free, output (B, out_channels, ceil(H / stride), ceil(W / stride)). The
    defaults are the paper's equations 1-9 in the paper's order; `READINGS` names the arguments that turn it into each
    public reading. Another shape is CRU's work alone: SRU keeps what it meets in its order. Of the parallel order SRU's
    branch is averaged over windows of the stride before it, and projected to out_channels behind it.

    Args:
        channels: Channels of the input and the output.
        order: "sru_cru" (the paper's choice), "cru_sru", or "parallel": both see the input and their outputs are
            added. How the paper's parallel arm C&S joins the two is not stated; the batch norm behind the unit makes
            sum and mean alike.
        num_groups: Groups of SRU's Group Norm; a divisor of its channels, or "auto" for the divisor nearest to 4.
        gate_threshold: SRU's gate weights above it are informative; between 0 and 1.
        gate_mode: SRU's gate: "soft" or "hard".
        gate_input: What SRU's gate multiplies: "x" or "normalized".
        norm: SRU's Group Norm: "group_norm" or "unbiased".
        gamma_init: First value of SRU's gamma: a number other than 0, or "normal".
        alpha: Share of CRU's channels in the upper branch; between 0 and 1.
        squeeze_ratio: How many times fewer channels CRU's squeeze leaves each branch.
        groups: Groups of CRU's group-wise convolution, or "auto" for the fitting number nearest to 2.
        kernel_size: Width of CRU's group-wise convolution; odd.
        fusion: CRU's softmax: "pairwise" or "joint".
        stride_in: Where CRU takes a stride: "squeeze" or "gwc".
        out_channels: Channels of the output; None is ``channels``.
        stride: How many times lower and narrower the output is.
        dilation: Distance of the taps of CRU's group-wise convolution.
        device: Where the parameters are made; None is torch's default.
        dtype: Of which type they are; None is torch's default.

    Raises:
        UserError: (a ValueError) on an unknown order, and as `SRU` and `CRU` do.
    """

    def __init__(
        self,
        channels: int,
        *,
        order: Order = "sru_cru",
        num_groups: int | Literal["auto"] = 4,
        gate_threshold: float = 0.5,
        gate_mode: ops.GateMode = "soft",
        gate_input: ops.GateInput = "x",
        norm: ops.Norm = "group_norm",
        gamma_init: float | Literal["normal"] = 1.0,
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
        require_choice("order", order, get_args(Order))
        self.channels = channels
        self.order: Order = order
        self.sru = SRU(
            (out_channels or channels) if order == "cru_sru" else channels,
            num_groups=num_groups,
            gate_threshold=gate_threshold,
            gate_mode=gate_mode,
            gate_input=gate_input,
            norm=norm,
            gamma_init=gamma_init,
            out_channels=out_channels if order == "parallel" else None,
            device=device,
            dtype=dtype,
        )
        self.cru = CRU(
            channels,
            alpha=alpha,
            squeeze_ratio=squeeze_ratio,
            groups=groups,
            kernel_size=kernel_size,
            fusion=fusion,
            stride_in=stride_in,
            out_channels=out_channels,
            stride=stride,
            dilation=dilation,
            device=device,
            dtype=dtype,
        )
        self.pool = stride_pool((stride, stride)) if order == "parallel" and stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride))."""
        if self.order == "sru_cru":
            return self.cru(self.sru(x))
        if self.order == "cru_sru":
            return self.sru(self.cru(x))
        if not torch.jit.is_scripting():
            require_input(x, channels=self.channels, unit="ScConv")
        return self.sru(x if self.pool is None else self.pool(x)) + self.cru(x)

    def extra_repr(self) -> str:
        """The argument that the parts do not show, for ``print(net)``."""
        return f"order={self.order!r}"


class _Readings(dict[str, dict[str, Any]]):
    """Names the nearest reading where there is none of a name."""

    def __missing__(self, name: str) -> NoReturn:
        raise UserError(f"there is no reading {name!r}{nearest(name, list(self))}")


READINGS = _Readings(
    paper={
        "gate_mode": "soft",
        "gate_input": "x",
        "norm": "group_norm",
        "gamma_init": 1.0,
        "fusion": "pairwise",
    },
    cheng_haha={
        "gate_mode": "soft",
        "gate_input": "x",
        "norm": "group_norm",
        "gamma_init": 1.0,
        "fusion": "joint",
    },
    jacky={
        "gate_mode": "hard",
        "gate_input": "normalized",
        "norm": "unbiased",
        "gamma_init": "normal",
        "fusion": "joint",
    },
)
"""Arguments of `ScConv` for each reading: ``ScConv(64, **READINGS["jacky"])``.

"paper" is the paper's equations; "cheng_haha" is the copy everyone uses (cheng-haha/ScConv); "jacky" is
Jacky-Android/ResNet-ScConv. What they share (four groups, threshold 0.5, alpha 1/2, r = g = 2, k = 3) is `ScConv`'s
own default.
"""
