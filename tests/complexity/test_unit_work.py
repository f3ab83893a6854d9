"""The formulas of the units' work against counted tensors."""

from itertools import product

import pytest
import torch
from torch import nn

from scconv_lab.complexity import Work, count_work, least_bytes
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
from tests.complexity.formulas import unit_work

GATES = list(product(("soft", "hard"), ("x", "normalized"), ("group_norm", "unbiased")))
SHAPES = list(product((1, 2, 3), ("squeeze", "gwc"), (None, 4, 2, 16), (3, 5)))


def agree(unit: Unit, shape=(8, 5, 6)) -> bool:
    return unit_work(unit, shape) == count_work(unit, shape)


@pytest.mark.parametrize(("mode", "gate_input", "norm"), GATES)
@pytest.mark.parametrize("out_channels", [None, 12])
def test_sru(mode, gate_input, norm, out_channels):
    unit = SRU(8, num_groups=2, gate_mode=mode, gate_input=gate_input, norm=norm, out_channels=out_channels)
    assert agree(unit)


def test_sru_of_an_odd_number_of_channels():
    assert agree(SRU(7, num_groups=1), (7, 5, 6))


@pytest.mark.parametrize("unit", [UngatedSRU, RandomGateSRU])
@pytest.mark.parametrize(("gate_input", "norm"), list(product(("x", "normalized"), ("group_norm", "unbiased"))))
def test_controls_of_sru(unit, gate_input, norm):
    assert agree(unit(8, gate_input=gate_input, norm=norm))


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_shuffled_gamma(mode):
    assert agree(ShuffledGammaSRU(8, gate_mode=mode))


@pytest.mark.parametrize("fusion", ["pairwise", "joint"])
@pytest.mark.parametrize(("stride", "stride_in", "out_channels", "kernel_size"), SHAPES)
def test_cru_and_scconv(fusion, stride, stride_in, out_channels, kernel_size):
    shape = {"stride": stride, "stride_in": stride_in, "out_channels": out_channels, "kernel_size": kernel_size}
    assert agree(CRU(8, fusion=fusion, **shape))
    for order in ("sru_cru", "cru_sru", "parallel"):
        assert agree(ScConv(8, fusion=fusion, order=order, num_groups="auto", **shape))


@pytest.mark.parametrize("reduction", [2, 16])
def test_se(reduction):
    assert agree(SE(16, reduction=reduction), (16, 5, 6))


@pytest.mark.parametrize("unit", [GroupConv, DepthwiseSeparableConv])
@pytest.mark.parametrize("budget", ["own", "scconv"])
@pytest.mark.parametrize(("stride", "out_channels"), [(1, None), (2, 32)])
def test_cheaper_convolutions(unit, budget, stride, out_channels):
    assert agree(unit(16, budget=budget, stride=stride, out_channels=out_channels), (16, 5, 6))


@pytest.mark.parametrize(("channels", "side"), [(64, 32), (512, 4)])
def test_sru_in_closed_form(channels, side):
    """8 operations and 91 bytes an element: nothing that a counter of MACs would see."""
    n = channels * side * side
    work = unit_work(SRU(channels), (channels, side, side))
    assert work == Work(8 * n + channels, n, channels, 91 * n + 4 * (6 * channels + 8))


def test_least_bytes():
    sru = SRU(16)
    assert least_bytes(sru, (16, 5, 6), (16, 5, 6)) == 4 * (2 * 16 * 30 + 32)
    conv = nn.Conv2d(4, 2, 3, stride=2, padding=1, bias=False)
    assert least_bytes(conv, (4, 6, 6), (2, 3, 3)) == 4 * (144 + 18 + 72)


def test_no_implementation_moves_less():
    for unit in (SRU(16), CRU(16), ScConv(16), SE(16), GroupConv(16)):
        with torch.no_grad():
            out = tuple(unit(torch.zeros(1, 16, 5, 6)).shape[1:])
        assert least_bytes(unit, (16, 5, 6), out) <= unit_work(unit, (16, 5, 6)).bytes_moved
