"""Two counters of MACs, operator by operator."""

from functools import partial
from itertools import product

import pytest
import torch
import torchinfo
from torch import nn

from scconv_lab.complexity import compare_counters, count_macs
from scconv_lab.models import CifarResNet, CifarResNeXt, DenseNet, ResNet, TimmNet, WideResNet
from scconv_lab.nn import CRU, SE, SRU, DepthwiseSeparableConv, GroupConv, ScConv
from scconv_lab.surgery import apply_surgery

NETS = {
    "resnet": partial(ResNet, 100, depth=50, stem="cifar"),
    "cifar_resnet": partial(CifarResNet, 10, depth=20),
    "resnext": partial(CifarResNeXt, 10),
    "wide_resnet": partial(WideResNet, 10, depth=10, widen_factor=2, bias=True),
    "densenet": partial(DenseNet, 10, stem="cifar"),
}
UNITS = {"plain": None, "sru": SRU, "cru": CRU, "scconv": ScConv, "group": GroupConv, "se": SE}
PAIRS = [*product(NETS, ("plain", "scconv")), *product(("cifar_resnet",), ("sru", "cru", "group", "se"))]


def counts(net, size=32):
    return {row.operator: (row.flop_counter, row.torchinfo) for row in compare_counters(net, (3, size, size))}


@pytest.mark.parametrize(("net", "unit"), PAIRS)
def test_they_agree_on_convolutions_to_the_last_mac(net, unit):
    with torch.device("meta"):
        net = NETS[net]()
        if UNITS[unit]:
            apply_surgery(net, UNITS[unit], action="insert_after" if unit in ("sru", "se") else "replace")
    rows = compare_counters(net, (3, 32, 32))
    by_operator = {row.operator: row for row in rows}
    assert by_operator["convolution"].flop_counter == by_operator["convolution"].torchinfo > 1e6
    assert by_operator["linear"].flop_counter == by_operator["linear"].torchinfo > 0
    for row in rows:
        assert bool(row.why) == (row.flop_counter != row.torchinfo)
        assert "report" not in row.why
    assert {row.operator for row in rows if row.why} <= {"biases", "norms", "SRU"}
    assert sum(row.flop_counter for row in rows) == count_macs(net, (3, 32, 32))
    summary = torchinfo.summary(net, (1, 3, 32, 32), device="meta", verbose=0)
    assert sum(row.torchinfo for row in rows) == summary.total_mult_adds


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_and_its_bias(bias, groups, stride):
    net = nn.Conv2d(8, 12, (3, 1), groups=groups, stride=stride, padding=(1, 0), bias=bias)
    side = 6 // stride
    macs = 3 * 8 // groups * 12 * side * side
    expected = {"convolution": (macs, macs)} | ({"biases": (0, 12 * side * side)} if bias else {})
    rows = compare_counters(net, (8, 6, 6))
    assert {row.operator: (row.flop_counter, row.torchinfo) for row in rows} == expected


def test_norms_and_units_are_explained():
    net = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8), nn.GroupNorm(2, 8), SRU(8))
    assert counts(net, 4) == {"convolution": (384, 384), "norms": (0, 32), "SRU": (0, 16)}


def test_what_torchinfo_misses_of_a_transformer_is_explained():
    rows = {row.operator: row for row in compare_counters(TimmNet(10, name="test_vit"), (3, 160, 160))}
    assert rows["convolution"].flop_counter == rows["convolution"].torchinfo > 0
    assert rows["linear"].flop_counter > rows["linear"].torchinfo
    assert "at however many positions" in rows["linear"].why
    assert rows["other products"].flop_counter > rows["other products"].torchinfo == 0
    assert "in none" in rows["other products"].why


def test_a_net_without_products_has_no_rows():
    assert compare_counters(nn.ReLU(), (3, 4, 4)) == []


def test_dtype_of_the_net_does_not_matter():
    net = DepthwiseSeparableConv(16)
    expected = compare_counters(net, (16, 8, 8))
    assert compare_counters(net.to(torch.bfloat16), (16, 8, 8)) == expected
