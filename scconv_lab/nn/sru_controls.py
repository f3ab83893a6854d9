"""Controls of the SRU: the same unit and parameters, with a gate that knows nothing, or none."""

from collections.abc import Callable
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from scconv_lab import ops
from scconv_lab.nn.sru import SRU, require_sru_input


class _GatelessSRU(SRU):
    """SRU without the arguments of its gate."""

    def __init__(
        self,
        channels: int,
        *,
        num_groups: int | Literal["auto"] = 4,
        gate_input: ops.GateInput = "x",
        norm: ops.Norm = "group_norm",
        gamma_init: float | Literal["normal"] = 1.0,
        out_channels: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__(
            channels,
            num_groups=num_groups,
            gate_input=gate_input,
            norm=norm,
            gamma_init=gamma_init,
            out_channels=out_channels,
            device=device,
            dtype=dtype,
        )

    def extra_repr(self) -> str:
        """The arguments, for ``print(net)``."""
        return f"{self.channels}, num_groups={self.num_groups}, gate_input={self.gate_input!r}, norm={self.norm!r}"


class _DrawnSRU(SRU):
    """SRU with a buffer, named ``drawn``, that is drawn once and is no weight.

    It is of floats, so that an average of it, as EMA and SWA take of buffers, is one of equal floats.
    """

    drawn: ClassVar[str]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the buffer, but never to half precision, which would round it."""
        before: Tensor = getattr(self, self.drawn)
        super()._apply(fn, recurse)
        after: Tensor = getattr(self, self.drawn)
        kept = torch.empty_like(after, dtype=before.dtype) if before.is_meta else before.to(after.device)
        setattr(self, self.drawn, kept)
        return self


class UngatedSRU(_GatelessSRU):
    """SRU without its gate: every value keeps its weight, none is told to be informative.

    Equation 3 without Gate: ``W1 = W2 = Sigmoid(W_gamma GN(X))``; the rest, and the parameters, are `SRU`'s. It is the
    limit of the soft gate as its threshold rises above every weight.

    Args:
        channels: Channels of the input.
        num_groups: Groups of the Group Norm; a divisor of the channels, or "auto" for the divisor nearest to 4.
        gate_input: What the weights multiply: "x" or "normalized".
        norm: "group_norm" or "unbiased".
        gamma_init: First value of gamma: a number other than 0, or "normal".
        out_channels: Channels of the output, behind a 1x1 convolution as in `SRU`; None keeps ``channels``.
        device: Where the parameters are made; None is torch's default.
        dtype: Of which type they are; None is torch's default.

    Raises:
        UserError: (a ValueError) as `SRU` does.
    """

    @torch.jit.ignore  # what is scripted calls it in Python
    def reconstruct(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape and dtype: the unit without its projection."""
        require_sru_input(self, x)
        wide = _wide(x)
        gn_x = _normalize(self, wide)
        value = wide if self.gate_input == "x" else gn_x
        weighed = ops.gate_weights(gn_x, self.weight.to(wide.dtype)) * value
        return ops.cross_reconstruct(weighed, weighed).to(x.dtype)


class RandomGateSRU(_DrawnSRU, _GatelessSRU):
    """SRU whose gate is drawn once: half of the channels are informative, whatever the input.

    In equation 3 the weight of an informative channel is 1 (``w1 = 1, w2 = 0``) and of another 1/2 (``w1 = w2 = 1/2``),
    which is what the sigmoid gives at GN(X) = 0. The draw comes from torch's global generator, so the run's seed
    decides it; the buffer ``informative``, of shape (channels,), keeps it in checkpoints, as 0.0 and 1.0.

    Gamma and beta are there, so that the unit counts as many parameters as SRU and reads its checkpoints. With
    ``gate_input="x"`` nothing depends on them, and they are frozen: an unfrozen parameter without a gradient would stop
    DDP, and the frozen ones cost an optimizer nothing.

    Args:
        channels: Channels of the input; half of them, rounded down, are informative.
        num_groups: Groups of the Group Norm; a divisor of the channels, or "auto" for the divisor nearest to 4.
        gate_input: What the gate multiplies: "x", which leaves the Group Norm out, or "normalized".
        norm: "group_norm" or "unbiased".
        gamma_init: First value of gamma: a number other than 0, or "normal".
        out_channels: Channels of the output, behind a 1x1 convolution as in `SRU`; None keeps ``channels``.
        device: Where the parameters are made; None is torch's default.
        dtype: Of which type they are; None is torch's default.

    Raises:
        UserError: (a ValueError) as `SRU` does.
    """

    drawn = "informative"
    informative: Tensor

    def reset_parameters(self) -> None:
        """Give gamma and beta their first values, freeze them if nothing reads them, and draw the gate."""
        super().reset_parameters()
        for parameter in (self.weight, self.bias):
            parameter.requires_grad_(self.gate_input == "normalized")
        informative = torch.randperm(self.channels, device="cpu") < self.channels // 2  # alike on every device
        self.register_buffer("informative", informative.to(self.weight.device, torch.float32))

    @torch.jit.ignore  # what is scripted calls it in Python
    def reconstruct(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape and dtype: the unit without its projection."""
        require_sru_input(self, x)
        wide = _wide(x)
        value = wide if self.gate_input == "x" else _normalize(self, wide)
        w1, w2 = ops.gate(torch.where(self.informative > 0.5, 1.0, 0.5).to(wide.dtype).view(-1, 1, 1))
        return ops.cross_reconstruct(w1 * value, w2 * value).to(x.dtype)


class ShuffledGammaSRU(_DrawnSRU):
    """SRU that weighs each channel by another channel's gamma: is a channel's own scale what tells?

    Equation 2 with ``W_gamma,i = gamma_p(i) / sum_j gamma_j``, p a random cycle through all channels, so that none
    keeps its own; the Group Norm's own gamma stays, and so do the rest and the parameters of `SRU`. The draw comes from
    torch's global generator, so the run's seed decides it; the buffer ``permutation``, of shape (channels,), keeps it
    in checkpoints, as floats. As long as all gammas are alike, as they are at first, it does what SRU does.

    Args:
        channels: Channels of the input.
        num_groups: Groups of the Group Norm; a divisor of the channels, or "auto" for the divisor nearest to 4.
        gate_threshold: Gate weights above it are informative; between 0 and 1.
        gate_mode: "soft" or "hard".
        gate_input: What the gate multiplies: "x" or "normalized".
        norm: "group_norm" or "unbiased".
        gamma_init: First value of gamma: a number other than 0, or "normal".
        out_channels: Channels of the output, behind a 1x1 convolution as in `SRU`; None keeps ``channels``.
        device: Where the parameters are made; None is torch's default.
        dtype: Of which type they are; None is torch's default.

    Raises:
        UserError: (a ValueError) as `SRU` does.
    """

    drawn = "permutation"
    permutation: Tensor

    def reset_parameters(self) -> None:
        """Give gamma and beta their first values, and draw the permutation."""
        super().reset_parameters()
        cycle = torch.randperm(self.channels, device="cpu")  # alike on every device
        permutation = torch.empty_like(cycle).scatter(0, cycle, cycle.roll(1))
        self.register_buffer("permutation", permutation.to(self.weight.device, torch.float32))

    @torch.jit.ignore  # what is scripted calls it in Python
    def reconstruct(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape and dtype: the unit without its projection."""
        require_sru_input(self, x)
        wide = _wide(x)
        gn_x = _normalize(self, wide)
        w = ops.gate_weights(gn_x, self.weight[self.permutation.round().long()].to(wide.dtype))
        w1, w2 = ops.gate(w, gate_threshold=self.gate_threshold, gate_mode=self.gate_mode)
        value = wide if self.gate_input == "x" else gn_x
        return ops.cross_reconstruct(w1 * value, w2 * value).to(x.dtype)


def _wide(x: Tensor) -> Tensor:
    """The input in at least fp32, as in `ops.sru`."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _normalize(sru: SRU, wide: Tensor) -> Tensor:
    gamma, beta = sru.weight.to(wide.dtype), sru.bias.to(wide.dtype)
    return ops.group_normalize(wide, gamma, beta, num_groups=sru.num_groups, norm=sru.norm)
