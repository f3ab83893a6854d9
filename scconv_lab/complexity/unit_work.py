"""What each unit costs in addition to its MACs, by formula: for one fp32 image, each eager operator on its own.

n is the number of elements of the unit's input, C its channels. Of `Work`, a formula gives point-wise operations,
normalised elements, reduced elements and bytes; a value has 4 bytes, a truth value 1.
"""

import math
from collections.abc import Callable
from typing import Any

from torch import nn

from scconv_lab.complexity.work import Work
from scconv_lab.nn import (
    CRU,
    SE,
    SRU,
    DepthwiseSeparableConv,
    GroupConv,
    RandomGateSRU,
    ScConv,
    ShuffledGammaSRU,
    UngatedSRU,
    Unit,
)

Shape = tuple[int, int, int]
"""C, H and W."""


def unit_work(unit: Unit, input_shape: Shape) -> Work:
    """Give the work of a unit by its formula.

    Args:
        unit: A unit of this lab.
        input_shape: C, H and W of its input.

    Raises:
        KeyError: if there is no formula for a unit of this class.
    """
    return _FORMULAS[type(unit)](unit, input_shape)


def has_formula(unit: Unit) -> bool:
    """Whether `unit_work` knows the class of a unit."""
    return type(unit) in _FORMULAS


def least_bytes(unit: nn.Module, input_shape: Shape, output_shape: Shape) -> int:
    """Bytes that any implementation in fp32 has to move: input and parameters read once, output written once."""
    parameters = sum(parameter.numel() for parameter in unit.parameters())
    return 4 * (math.prod(input_shape) + math.prod(output_shape) + parameters)


def _sru(sru: SRU, shape: Shape) -> Work:
    """8 n + C point-wise, n normalised, C reduced, about 91 n bytes, with the soft gate and Group Norm."""
    return _normalize(sru, shape) + _weights(shape) + _gate(sru, shape) + _reconstruct(shape) + _project(sru, shape)


def _ungated_sru(sru: UngatedSRU, shape: Shape) -> Work:
    weigh = _each(shape, pointwise=1, values=3)  # one product serves both W1 and W2
    return _normalize(sru, shape) + _weights(shape) + weigh + _add_rolled(shape) + _project(sru, shape)


def _random_gate_sru(sru: RandomGateSRU, shape: Shape) -> Work:
    channels = shape[0]
    gate = Work(pointwise=4 * channels, bytes_moved=(5 + 5 + 9 + 9) * channels)  # of the channels, not of the values
    multiply = 2 * Work(pointwise=math.prod(shape), bytes_moved=8 * math.prod(shape) + 4 * channels)
    norm = _normalize(sru, shape) if sru.gate_input == "normalized" else Work()
    return norm + gate + multiply + _add_rolled(shape) + _project(sru, shape)


def _shuffled_gamma_sru(sru: ShuffledGammaSRU, shape: Shape) -> Work:
    """SRU, and gamma read through a permutation of 8-byte indices."""
    return _sru(sru, shape) + Work(bytes_moved=16 * shape[0])


def _normalize(sru: SRU, shape: Shape) -> Work:
    """Equation 1."""
    channels, groups = shape[0], sru.num_groups
    if sru.norm == "group_norm":
        return _each(shape, normalisation=1, values=2) + Work(bytes_moved=4 * (2 * channels + 2 * groups))
    statistics = _each(shape, normalisation=1, values=1) + Work(pointwise=groups, bytes_moved=4 * 6 * groups)
    return statistics + _each(shape, pointwise=4, values=8) + Work(bytes_moved=4 * 2 * channels)


def _weights(shape: Shape) -> Work:
    """Equation 2, and the product and the sigmoid of equation 3."""
    channels = shape[0]
    shares = Work(pointwise=channels, reductions=channels, bytes_moved=4 * 4 * channels)
    return shares + _each(shape, pointwise=2, values=4)


def _gate(sru: SRU, shape: Shape) -> Work:
    """The gate of equation 3: one comparison, then a choice each for W1 and W2, or a cast each."""
    if sru.gate_mode == "soft":
        return _each(shape, pointwise=3, values=5, truths=3)
    return _each(shape, pointwise=2, values=3, truths=5)


def _reconstruct(shape: Shape) -> Work:
    """Equation 4."""
    return _each(shape, pointwise=2, values=6) + _add_rolled(shape)


def _add_rolled(shape: Shape) -> Work:
    return _each(shape, pointwise=1, values=2 + 3)


def _project(sru: SRU, shape: Shape) -> Work:
    return Work() if sru.project is None else _conv(sru.project, shape)[0]


def _cru(cru: CRU, shape: Shape) -> Work:
    """4 m point-wise for m elements of the output, 2 m reduced and a softmax over a pair a channel."""
    channels, height, width = shape
    up, low = cru.split_sizes
    assert up + low == channels
    squeeze_up, up_shape = _conv(cru.squeeze_up, (up, height, width))
    squeeze_low, low_shape = _conv(cru.squeeze_low, (low, height, width))
    work = squeeze_up + squeeze_low
    if cru.pool_low is not None:
        pooled = _shrunk(low_shape, cru.pool_low.stride)
        work += Work(reductions=math.prod(low_shape), bytes_moved=4 * (math.prod(low_shape) + math.prod(pooled)))
        low_shape = pooled
    gwc, out = _conv(cru.gwc, up_shape)
    pwc_up, _ = _conv(cru.pwc_up, up_shape)
    work += gwc + pwc_up + _each(out, pointwise=1, values=3)
    if cru.pwc_low is not None:
        work += _conv(cru.pwc_low, low_shape)[0] + _each(out, values=2)
    means = _each(out, reductions=2, values=2) + Work(bytes_moved=4 * 2 * out[0])
    softmax = Work(reductions=2 * out[0], bytes_moved=4 * (4 + 4) * out[0])  # means copied side by side, then weighed
    fuse = _each(out, pointwise=3, values=7) + Work(bytes_moved=4 * 2 * out[0])
    return work + means + softmax + fuse


def _scconv(unit: ScConv, shape: Shape) -> Work:
    out = _shrunk((unit.cru.gwc.out_channels, *shape[1:]), _total_stride(unit.cru))
    if unit.order == "sru_cru":
        return _sru(unit.sru, shape) + _cru(unit.cru, shape)
    if unit.order == "cru_sru":
        return _cru(unit.cru, shape) + _sru(unit.sru, out)
    pooled, pool = shape, Work()
    if unit.pool is not None:
        pooled = _shrunk(shape, unit.pool.stride)
        pool = Work(reductions=math.prod(shape), bytes_moved=4 * (math.prod(shape) + math.prod(pooled)))
    return pool + _sru(unit.sru, pooled) + _cru(unit.cru, shape) + _each(out, pointwise=1, values=3)


def _se(unit: SE, shape: Shape) -> Work:
    channels, hidden = shape[0], unit.se.fc1.out_channels
    squeeze = _each(shape, reductions=1, values=1) + Work(bytes_moved=4 * channels)
    excite = _conv(unit.se.fc1, (channels, 1, 1))[0] + _conv(unit.se.fc2, (hidden, 1, 1))[0]
    activations = Work(pointwise=hidden + channels, bytes_moved=4 * 2 * (hidden + channels))
    scale = _each(shape, pointwise=1, values=2) + Work(bytes_moved=4 * channels)
    return squeeze + excite + activations + scale


def _convs_alone(unit: Unit, shape: Shape) -> Work:
    work = Work()
    for conv in unit.modules():
        if isinstance(conv, nn.Conv2d):
            moved, shape = _conv(conv, shape)
            work += moved
    return work


def _conv(conv: nn.Conv2d, shape: Shape) -> tuple[Work, Shape]:
    """A padded convolution reads input, weight and bias, and writes its output."""
    out = _shrunk((conv.out_channels, *shape[1:]), conv.stride)
    parameters = conv.weight.numel() + (0 if conv.bias is None else conv.bias.numel())
    return Work(bytes_moved=4 * (math.prod(shape) + parameters + math.prod(out))), out


def _shrunk(shape: Shape, stride: Any) -> Shape:
    across, along = stride
    return shape[0], math.ceil(shape[1] / across), math.ceil(shape[2] / along)


def _total_stride(cru: CRU) -> tuple[int, int]:
    return cru.squeeze_up.stride[0] * cru.gwc.stride[0], cru.squeeze_up.stride[1] * cru.gwc.stride[1]


def _each(
    shape: Shape, *, pointwise: int = 0, normalisation: int = 0, reductions: int = 0, values: int = 0, truths: int = 0
) -> Work:
    """Work an element of a map, with the values and truth values moved for it."""
    return math.prod(shape) * Work(pointwise, normalisation, reductions, 4 * values + truths)


_FORMULAS: dict[type[Unit], Callable[[Any, Shape], Work]] = {
    SRU: _sru,
    UngatedSRU: _ungated_sru,
    RandomGateSRU: _random_gate_sru,
    ShuffledGammaSRU: _shuffled_gamma_sru,
    CRU: _cru,
    ScConv: _scconv,
    SE: _se,
    GroupConv: _convs_alone,
    DepthwiseSeparableConv: _convs_alone,
}
