"""SCConv's mathematics, written to be read beside the paper (Li, Wen, He, CVPR 2023, section 3).

These functions are the definition. A faster version is right when it agrees with them. They refuse an unknown choice by
UserError.

Shape suffixes: B batch, C channels, H height, W width.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from scconv_lab.messages import require_choice

GateMode = Literal["soft", "hard"]
GateInput = Literal["x", "normalized"]
Norm = Literal["group_norm", "unbiased"]
Fusion = Literal["pairwise", "joint"]

GATE_MODES: tuple[str, ...] = get_args(GateMode)
GATE_INPUTS: tuple[str, ...] = get_args(GateInput)
NORMS: tuple[str, ...] = get_args(Norm)
FUSIONS: tuple[str, ...] = get_args(Fusion)

GROUP_NORM_EPS = 1e-5
UNBIASED_EPS = 1e-10


def group_normalize(x_BCHW: Tensor, gamma_C: Tensor, beta_C: Tensor, *, num_groups: int, norm: Norm) -> Tensor:
    """Normalise each group of channels of each sample, then scale and shift each channel (equation 1).

    ``group_norm`` is ``gamma (x - mu) / sqrt(var + 1e-5) + beta`` with the population variance, as the paper has it.
    ``unbiased`` is ``gamma (x - mu) / (std + 1e-10) + beta`` with Bessel's correction, as public code has it.
    """
    require_choice("norm", norm, NORMS)
    if norm == "group_norm":
        return F.group_norm(x_BCHW, num_groups, gamma_C, beta_C, GROUP_NORM_EPS)
    grouped = x_BCHW.unflatten(1, (num_groups, -1)).flatten(2)
    std, mean = torch.std_mean(grouped, dim=2, correction=1, keepdim=True)
    normalized = ((grouped - mean) / (std + UNBIASED_EPS)).view(x_BCHW.shape)
    return normalized * gamma_C.view(-1, 1, 1) + beta_C.view(-1, 1, 1)


def gate_weights(gn_x_BCHW: Tensor, gamma_C: Tensor) -> Tensor:
    """Weigh every normalised value by its channel's share of gamma, between 0 and 1 (equations 2 and 3).

    ``sigmoid(W_gamma GN(x))`` with ``W_gamma = gamma / sum(gamma)``: what the gate compares with its threshold.
    """
    w_gamma = gamma_C / gamma_C.sum()
    return torch.sigmoid(w_gamma.view(-1, 1, 1) * gn_x_BCHW)


def gate(w_BCHW: Tensor, *, gate_threshold: float = 0.5, gate_mode: GateMode = "soft") -> tuple[Tensor, Tensor]:
    """Part weights into those of the informative values ``w1`` and of the others ``w2`` (equation 3).

    The soft gate gives ``w1 = 1, w2 = 0`` where ``w > gate_threshold`` and ``w1 = w2 = w`` elsewhere; the hard gate
    gives ``w1 = 1, w2 = 0`` where ``w >= gate_threshold`` and ``w1 = 0, w2 = 1`` elsewhere.
    """
    require_choice("gate_mode", gate_mode, GATE_MODES)
    if gate_mode == "soft":
        informative = w_BCHW > gate_threshold
        return torch.where(informative, 1.0, w_BCHW), torch.where(informative, 0.0, w_BCHW)
    informative = w_BCHW >= gate_threshold
    return informative.to(w_BCHW.dtype), (~informative).to(w_BCHW.dtype)


def cross_reconstruct(x1_BCHW: Tensor, x2_BCHW: Tensor) -> Tensor:
    """Add the first half of each input's channels to the second half of the other's (equation 4).

    ``concat(X11 + X22, X12 + X21)`` with ``Xi = (Xi1, Xi2)`` split in the middle: ``X1`` plus ``X2`` rolled by half the
    channels. Of an odd number, which has no middle and which the paper leaves out, the roll is by ``(C - 1) / 2``.
    """
    return x1_BCHW + x2_BCHW.roll(x2_BCHW.shape[1] // 2, dims=1)


def sru(
    x_BCHW: Tensor,
    gamma_C: Tensor,
    beta_C: Tensor,
    *,
    num_groups: int,
    gate_threshold: float = 0.5,
    gate_mode: GateMode = "soft",
    gate_input: GateInput = "x",
    norm: Norm = "group_norm",
) -> Tensor:
    """Separate informative from less informative values, then reconstruct across channel halves (equations 1-4).

    ``w1, w2 = gate(gate_weights(GN(x), gamma))``, and the output is ``cross_reconstruct(w1 v, w2 v)`` with ``v`` the
    raw ``x``, or ``GN(x)`` for ``gate_input="normalized"``.

    Computed in at least fp32, whatever the dtype of ``x`` and under autocast too, and rounded to ``x.dtype`` once at
    the end: around ``w = 0.5`` a bf16 sigmoid rounds to the threshold itself and flips the gate.

    With the hard gate on raw ``x`` the output does not depend on gamma and beta but through a step, so they get no
    gradient at all (``None``, not zero).
    """
    require_choice("gate_input", gate_input, GATE_INPUTS)
    dtype = torch.promote_types(x_BCHW.dtype, torch.float32)  # autocast lowers none of the operators below
    x, gamma, beta = x_BCHW.to(dtype), gamma_C.to(dtype), beta_C.to(dtype)

    gn_x = group_normalize(x, gamma, beta, num_groups=num_groups, norm=norm)
    w1, w2 = gate(gate_weights(gn_x, gamma), gate_threshold=gate_threshold, gate_mode=gate_mode)
    value = x if gate_input == "x" else gn_x
    return cross_reconstruct(w1 * value, w2 * value).to(x_BCHW.dtype)


def fusion_weights(y1_BCHW: Tensor, y2_BCHW: Tensor, *, fusion: Fusion = "pairwise") -> tuple[Tensor, Tensor]:
    """Weigh two branches by their channel means ``S_m``: beta1 and beta2, each (B, C, 1, 1) (equations 7 and 8).

    ``pairwise`` (the paper's equation 8) takes a softmax over the pair (S1, S2) of each channel, so the two weights of
    a channel sum to 1. ``joint`` (all public code) takes one softmax over the 2C means, so all weights together sum to
    1 and the fused output is about C times smaller.
    """
    require_choice("fusion", fusion, FUSIONS)
    s1, s2 = y1_BCHW.mean((2, 3), keepdim=True), y2_BCHW.mean((2, 3), keepdim=True)
    if fusion == "pairwise":
        beta1, beta2 = torch.stack((s1, s2)).softmax(dim=0)
    else:
        beta1, beta2 = torch.cat((s1, s2), dim=1).softmax(dim=1).chunk(2, dim=1)
    return beta1, beta2


def cru_fuse(y1_BCHW: Tensor, y2_BCHW: Tensor, *, fusion: Fusion = "pairwise") -> Tensor:
    """Add two branches, weighed by `fusion_weights`: ``beta1 Y1 + beta2 Y2`` (equation 9)."""
    beta1, beta2 = fusion_weights(y1_BCHW, y2_BCHW, fusion=fusion)
    return beta1 * y1_BCHW + beta2 * y2_BCHW
