"""Spatial Reconstruction Unit (Li, Wen, He, CVPR 2023, section 3.1)."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from scconv_lab import ops
from scconv_lab.errors import UserError
from scconv_lab.messages import choose_one_of, is_number, require_between, require_choice, require_positive
from scconv_lab.nn.unit import Unit, divisors, is_traced, nearest_first, require_input

_PUBLIC_NUM_GROUPS = 4


class SRU(Unit):
    """Separates informative from less informative values by the scale of a Group Norm, and reconstructs.

    Equations 1-4 of the paper; `scconv_lab.ops.sru` is the formula. Input and output are (B, channels, H, W), H and
    W free; with ``out_channels`` a 1x1 convolution behind it maps to (B, out_channels, H, W). ``weight`` and ``bias``,
    of shape (channels,), are the Group Norm's gamma and beta. The gate is computed in fp32 for half-precision input.
    The paper leaves the number of groups and the values below the threshold open; the defaults are four groups, as in
    public code, and the soft gate.

    With ``gate_mode="hard"`` and ``gate_input="x"`` gamma and beta get no gradient (``None``): they stay as they
    are, and DDP needs ``ddp_find_unused_parameters_true``.

    Args:
        channels: Channels of the input. The paper's reconstruction swaps halves of an even number; see
            `scconv_lab.ops.cross_reconstruct` for an odd one.
        num_groups: Groups of the Group Norm; a divisor of the channels, or "auto" for the divisor nearest to 4.
        gate_threshold: Gate weights above it are informative; between 0 and 1. At 0.5, with gamma 1 and beta 0, the
            gate opens where a value is above its group's mean.
        gate_mode: "soft" keeps the weights below the threshold as they are, "hard" makes them 0 and 1.
        gate_input: What the gate multiplies: "x", the raw input (equation 4), or "normalized", the Group Norm's output.
        norm: "group_norm" (equation 1), or "unbiased", public code's own Group Norm with the Bessel-corrected
            standard deviation and an epsilon of 1e-10 outside the root.
        gamma_init: First value of gamma: a number other than 0, or "normal" for draws of a standard normal
            distribution, as in public code's own Group Norm.
        out_channels: Channels of the output; None keeps ``channels``. The paper says nothing of it.
        device: Where the parameters are made; None is torch's default.
        dtype: Of which type they are; None is torch's default.

    Raises:
        UserError: (a ValueError) on groups that do not divide the channels, a threshold outside (0, 1), an
            unknown choice, or a gamma that sums to zero, since equation 2 divides by the sum: at construction, and
            when a state dict is loaded (looking at the sum in forward would make every pass wait for the device). In
            forward on an input that is not (B, channels, H, W) or of no floating-point type.
    """

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(
        self,
        channels: int,
        *,
        num_groups: int | Literal["auto"] = 4,
        gate_threshold: float = 0.5,
        gate_mode: ops.GateMode = "soft",
        gate_input: ops.GateInput = "x",
        norm: ops.Norm = "group_norm",
        gamma_init: float | Literal["normal"] = 1.0,
        out_channels: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        require_positive("channels", channels)
        out_channels = channels if out_channels is None else out_channels
        require_positive("out_channels", out_channels)
        if num_groups == "auto":
            num_groups = nearest_first(divisors(channels), _PUBLIC_NUM_GROUPS)[0]
        require_positive("num_groups", num_groups)
        if channels % num_groups:
            raise UserError(
                f"`channels` (={channels}) must be divisible by `num_groups` (={num_groups}); "
                f"{choose_one_of(nearest_first(divisors(channels), num_groups))} groups, or 'auto'"
            )
        require_between("gate_threshold", gate_threshold, 0, 1, "it is compared with a sigmoid; the paper's is 0.5")
        require_choice("gate_mode", gate_mode, ops.GATE_MODES)
        require_choice("gate_input", gate_input, ops.GATE_INPUTS)
        require_choice("norm", norm, ops.NORMS)
        if gamma_init != "normal" and not (is_number(gamma_init) and math.isfinite(gamma_init)):
            raise UserError(f"`gamma_init` (={gamma_init!r}) must be a finite number or 'normal'")
        self.channels = channels
        self.num_groups = num_groups
        self.gate_threshold = gate_threshold
        self.gate_mode: ops.GateMode = gate_mode
        self.gate_input: ops.GateInput = gate_input
        self.norm: ops.Norm = norm
        self.gamma_init = gamma_init
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(channels, **factory))
        self.bias = nn.Parameter(torch.empty(channels, **factory))
        self.project = None
        if out_channels != channels:
            self.project = nn.Conv2d(channels, out_channels, 1, bias=False, **factory)
        self.reset_parameters()
        self.register_load_state_dict_post_hook(_require_loaded_gamma_sum)

    def reset_parameters(self) -> None:
        """Give gamma its first values by ``gamma_init``, and beta zeros."""
        if isinstance(self.gamma_init, str):
            nn.init.normal_(self.weight)
        else:
            nn.init.constant_(self.weight, self.gamma_init)
        nn.init.zeros_(self.bias)
        _require_gamma_sum(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, out_channels, H, W), of the same dtype but for autocast's of a projection."""
        y = self.reconstruct(x)
        return y if self.project is None else self.project(y)

    @torch.jit.ignore  # what is scripted calls it in Python
    def reconstruct(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape and dtype: the unit without its projection."""
        require_sru_input(self, x)
        return ops.sru(
            x,
            self.weight,
            self.bias,
            num_groups=self.num_groups,
            gate_threshold=self.gate_threshold,
            gate_mode=self.gate_mode,
            gate_input=self.gate_input,
            norm=self.norm,
        )

    def extra_repr(self) -> str:
        """The arguments, for ``print(net)``."""
        return (
            f"{self.channels}, num_groups={self.num_groups}, gate_threshold={self.gate_threshold}, "
            f"gate_mode={self.gate_mode!r}, gate_input={self.gate_input!r}, norm={self.norm!r}"
        )


def require_sru_input(sru: SRU, x: Tensor) -> None:
    """Raise UserError unless an SRU can take an input; reads no value."""
    require_input(x, channels=sru.channels, unit="SRU")
    if sru.norm == "unbiased" and sru.channels == sru.num_groups:
        _require_spread(x, num_groups=sru.num_groups)


def _require_spread(x: Tensor, *, num_groups: int) -> None:
    """Raise UserError where a group has one value, which has no Bessel-corrected deviation."""
    if not is_traced(x) and x.shape[2] * x.shape[3] == 1:
        raise UserError(
            f"`num_groups` (={num_groups}) leaves one value in each group of a map of 1 x 1, and `norm` (='unbiased') "
            "needs two; choose fewer groups, or norm='group_norm'"
        )


def _require_gamma_sum(gamma: Tensor) -> None:
    """Raise UserError if gamma sums to zero, or to less than its rounding; a gamma without values passes."""
    if gamma.is_meta or type(gamma) not in (Tensor, nn.Parameter):  # such as torch's fake tensors
        return
    if gamma.sum().abs() <= torch.finfo(gamma.dtype).eps * gamma.abs().sum():
        raise UserError(
            "`weight` (gamma) of an SRU sums to 0, and equation 2 divides by that sum; "
            "give `gamma_init` another value than 0, or load weights whose gamma does not sum to 0"
        )


def _require_loaded_gamma_sum(sru: SRU, _: object) -> None:
    _require_gamma_sum(sru.weight)
