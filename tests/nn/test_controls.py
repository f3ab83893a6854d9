"""The controls: their shapes and their budgets."""

import functools
import itertools
import re

import pytest
import torch
from torch import nn

from scconv_lab.complexity import count_params
from scconv_lab.errors import UserError
from scconv_lab.models import CifarResNet, ResNet
from scconv_lab.nn import (
    SE,
    DepthwiseSeparableConv,
    GroupConv,
    RandomGateSRU,
    ScConv,
    ShuffledGammaSRU,
    UngatedSRU,
    Unit,
)
from scconv_lab.nn.controls import scconv_params
from scconv_lab.surgery import apply_surgery
from tests.nn import literal
from tests.nn.literal import check_parity, random_input, randomize

CONVS = {"GroupConv": GroupConv, "DepthwiseSeparableConv": DepthwiseSeparableConv}
SRUS = {"UngatedSRU": UngatedSRU, "RandomGateSRU": RandomGateSRU, "ShuffledGammaSRU": ShuffledGammaSRU}
UNITS = {"SE": functools.partial(SE, reduction=4), **SRUS, **CONVS}

each_conv = pytest.mark.parametrize("build", CONVS.values(), ids=CONVS)
each_unit = pytest.mark.parametrize("build", UNITS.values(), ids=UNITS)


@pytest.mark.parametrize("channels", [8, 24, 64])
@each_unit
def test_a_unit_keeps_shape_and_dtype(build, channels):
    unit = build(channels)
    assert isinstance(unit, Unit)
    for batch, height, width in [(2, 4, 4), (1, 5, 3), (3, 1, 1)]:
        x = torch.randn(batch, channels, height, width)
        y = unit(x)
        assert y.shape == x.shape
        assert y.dtype == x.dtype
        assert y.isfinite().all()


@pytest.mark.parametrize("budget", ["own", "scconv"])
@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@each_conv
def test_a_convolution_has_the_shape_of_the_one_it_replaces(build, kernel_size, budget):
    """Odd sizes, where ceil and floor differ, and a kernel wider than the map."""
    for stride, dilation, out_channels, size in itertools.product([1, 2, 3], [1, 2], [8, 16, 32], [(7, 4), (9, 9)]):
        geometry = {"out_channels": out_channels, "kernel_size": kernel_size, "stride": stride, "dilation": dilation}
        x = torch.randn(2, 16, *size)
        dense = nn.Conv2d(16, padding=dilation * (kernel_size // 2), **geometry)
        assert build(16, budget=budget, **geometry)(x).shape == dense(x).shape


@each_conv
def test_stride_and_dilation_reach_the_convolution(build):
    """A strided unit gives every second value of the unstrided one, of the same weights."""
    plain, strided, dilated = build(16, dilation=2), build(16, dilation=2, stride=2), build(16)
    strided.load_state_dict(plain.state_dict())
    dilated.load_state_dict(plain.state_dict())
    x = torch.randn(1, 16, 9, 7)
    torch.testing.assert_close(strided(x), plain(x)[:, :, ::2, ::2])
    assert not torch.allclose(dilated(x), plain(x), atol=1e-3)


@each_unit
def test_device_and_dtype(build):
    unit = build(8, device="meta", dtype=torch.float64)
    assert all(tensor.is_meta for tensor in (*unit.parameters(), *unit.buffers()))
    assert all(parameter.dtype == torch.float64 for parameter in unit.parameters())
    with torch.device("meta"):
        assert all(tensor.is_meta for tensor in (*build(8).parameters(), *build(8).buffers()))


@each_unit
def test_a_unit_trains(build):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), build(8), nn.BatchNorm2d(8))
    x, target = torch.randn(8, 3, 6, 6), torch.randn(8, 8, 6, 6)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    losses = []
    for _ in range(10):
        loss = (net(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in net.parameters() if parameter.requires_grad)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


# Budgets


@pytest.mark.parametrize("channels", [8, 16, 24, 64, 96, 160, 320, 512])
def test_the_budget_is_what_scconv_has(channels):
    for kernel_size, out_channels in itertools.product([1, 3, 5, 7], [channels, channels // 2, 3 * channels]):
        arguments = {"kernel_size": kernel_size, "out_channels": out_channels}
        assert scconv_params(channels, **arguments) == count_params(ScConv(channels, device="meta", **arguments))


def test_the_budget_where_two_groups_do_not_fit():
    """The mean of what ScConv has with one group and with three, the k^2 term of two between them, to a weight."""
    three, one = (count_params(ScConv(12, groups=groups, device="meta")) for groups in (3, 1))
    kernel_term = 9 * 3 * 12  # of one group: k^2 u O
    assert three == one - kernel_term * 2 // 3
    assert scconv_params(12) == one - kernel_term // 2


def test_the_budget_of_public_code():
    assert [scconv_params(channels) for channels in (64, 128, 256, 512)] == [7_616, 30_080, 119_552, 476_672]


# deviation from ScConv in percent, as the docstrings have it
DEVIATIONS = {
    GroupConv: {16: 3.1, 32: 6.6, 64: 0.0, 96: -0.56, 128: -0.43, 160: 0.34, 256: 0.21, 320: 0.34, 512: 0.54},
    DepthwiseSeparableConv: {16: -3.9, 32: 0.97, 64: 0.74, 96: 0.55, 128: 0.43, 160: -0.35, 256: -0.2, 512: -0.1},
}


@pytest.mark.parametrize(
    ("build", "channels", "percent"),
    [(build, channels, percent) for build, all_of_it in DEVIATIONS.items() for channels, percent in all_of_it.items()],
)
def test_deviation_from_the_budget(build, channels, percent):
    reached = 100 * (count_params(build(channels, device="meta")) / scconv_params(channels) - 1)
    assert reached == pytest.approx(percent, abs=0.06)
    assert channels < 64 or abs(reached) < 1


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@each_conv
def test_the_width_is_the_best_there_is(build, kernel_size):
    """No other inner width, and of a missed budget no other groups either, come nearer: all of them are tried."""
    for channels, out_channels in [(16, 16), (32, 32), (40, 40), (16, 32), (64, 64), (64, 24)]:
        arguments = {"out_channels": out_channels, "kernel_size": kernel_size}
        target = scconv_params(channels, **arguments)
        unit = build(channels, **arguments)
        missed = abs(count_params(unit) - target)
        if build is DepthwiseSeparableConv:
            costs = {1: channels + kernel_size**2 + out_channels}
        else:
            found = unit.gwc.groups
            all_groups = [groups for groups in range(2, out_channels + 1) if out_channels % groups == 0]
            met = missed <= 0.01 * target
            costs = {g: channels + kernel_size**2 * out_channels // g for g in ([found] if met else all_groups)}
        others = [abs(n * cost - target) for g, cost in costs.items() for n in range(g, 40 * out_channels, g)]
        assert missed == min(others)


def test_groups_are_those_wished_for_where_they_fit():
    """320 channels meet the budget with 2, 4, 5, 8, 20, 40 and 64 groups."""
    for wished, found in {2: 2, 4: 4, 8: 8, 16: 20, 1000: 64, 1: 2}.items():
        assert GroupConv(320, groups=wished, device="meta").gwc.groups == found


NETS = {
    "resnet20": (functools.partial(CifarResNet, depth=20), 0.26, 0.10),
    "resnet56": (functools.partial(CifarResNet, depth=56), 0.25, 0.10),
    "resnet50": (functools.partial(ResNet, depth=50, stem="cifar"), 0.06, -0.02),
}


@pytest.mark.parametrize(("net", "group_conv", "depthwise_separable"), NETS.values(), ids=NETS)
def test_the_budget_of_a_whole_net(net, group_conv, depthwise_separable):
    """In percent, as the docstrings have it."""

    def params(unit):
        with torch.device("meta"):
            edited = net(100)
            apply_surgery(edited, unit)
        return count_params(edited)

    scconv = params(ScConv)
    assert 100 * (params(GroupConv) / scconv - 1) == pytest.approx(group_conv, abs=0.006)
    assert 100 * (params(DepthwiseSeparableConv) / scconv - 1) == pytest.approx(depthwise_separable, abs=0.006)


def test_own_parameters():
    """The literature's plain forms."""
    assert count_params(GroupConv(64, budget="own", groups=8)) == 9 * 64 * 64 // 8
    assert count_params(GroupConv(64, budget="own", groups=8, out_channels=32, kernel_size=5)) == 25 * 64 * 32 // 8
    assert count_params(DepthwiseSeparableConv(64, budget="own")) == 9 * 64 + 64 * 64
    separable = DepthwiseSeparableConv(64, budget="own", out_channels=32, kernel_size=5)
    assert count_params(separable) == 25 * 64 + 64 * 32
    assert count_params(SE(64)) == 64 * 4 + 4 + 4 * 64 + 64
    assert count_params(SE(24, reduction=16)) == 24 + 1 + 24 + 24


# What they compute


def test_own_group_conv_is_torchs():
    unit, conv = GroupConv(8, budget="own", groups=2), nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False)
    conv.load_state_dict({"weight": unit.gwc.weight})
    x = torch.randn(2, 8, 5, 4)
    assert torch.equal(unit(x), conv(x))


def test_budgeted_units_are_their_convolutions_in_a_row():
    """Nothing stands in between: the transcription's plain loops, one after the other."""
    group = randomize(GroupConv(8))
    separable = randomize(DepthwiseSeparableConv(8))

    def group_conv(x, p):
        x, p = literal.scalars(x), {name: literal.scalars(value) for name, value in p.items()}
        return literal.stacked(
            literal.conv(literal.conv(x, p["pointwise.weight"]), p["gwc.weight"], groups=group.gwc.groups)
        )

    def depthwise_separable(x, p):
        x, p = literal.scalars(x), {name: literal.scalars(value) for name, value in p.items()}
        deep = literal.conv(literal.conv(x, p["expand.weight"]), p["depthwise.weight"], groups=len(p["expand.weight"]))
        return literal.stacked(literal.conv(deep, p["pointwise.weight"]))

    check_parity(group, group_conv, random_input(1, 8, 2, 3))
    check_parity(separable, depthwise_separable, random_input(1, 8, 2, 3))


def test_se_is_its_formula():
    unit = randomize(SE(8, reduction=4))
    weights = {
        name.removeprefix("se."): value.flatten(1) for name, value in unit.named_parameters() if "weight" in name
    }
    biases = {name.removeprefix("se."): value for name, value in unit.named_parameters() if "bias" in name}
    x = random_input(2, 8, 3, 4)
    hidden = (x.mean((2, 3)) @ weights["fc1.weight"].T + biases["fc1.bias"]).relu()
    scale = (hidden @ weights["fc2.weight"].T + biases["fc2.bias"]).sigmoid()
    torch.testing.assert_close(unit(x), x * scale[:, :, None, None])


@each_unit
def test_bf16(build):
    unit = build(16, dtype=torch.bfloat16)
    y = unit(torch.randn(2, 16, 4, 4, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16
    assert y.isfinite().all()


# Arguments


@each_conv
def test_unusable_geometry(build):
    for kernel_size in (2, 4):
        with pytest.raises(UserError, match=rf"`kernel_size` \(={kernel_size}\) must be odd") as caught:
            build(8, kernel_size=kernel_size)
        for offered in re.findall(r"\d+", str(caught.value).rpartition("choose")[2]):
            build(8, kernel_size=int(offered))
    for name, value in itertools.product(["channels", "out_channels", "kernel_size", "stride", "dilation"], [0, 1.5]):
        with pytest.raises(UserError, match=re.escape(f"`{name}` (={value!r}) must be a whole number of at least 1")):
            build(**{"channels": 8, name: value})


@each_conv
def test_unknown_budget(build):
    with pytest.raises(UserError, match=r"`budget` \(='equal'\) must be one of 'own', 'scconv'"):
        build(8, budget="equal")


@pytest.mark.parametrize(("channels", "out_channels"), [(3, 3), (2, 64), (128, 16)])
@each_conv
def test_no_budget_where_there_is_no_scconv(build, channels, out_channels):
    with pytest.raises(UserError, match=f"{channels} channels in and {out_channels} out") as caught:
        build(channels, out_channels=out_channels)
    assert "choose budget='own'" in str(caught.value)
    build(channels, out_channels=out_channels, budget="own", **({"groups": 1} if build is GroupConv else {}))


def test_groups_that_do_not_divide():
    rule = re.escape("`channels` (=24) and `out_channels` (=16) must be divisible by `groups` (=3)")
    with pytest.raises(UserError, match=rule) as caught:
        GroupConv(24, out_channels=16, budget="own", groups=3)
    for offered in re.findall(r"\d+", str(caught.value).rpartition("choose")[2]):
        GroupConv(24, out_channels=16, budget="own", groups=int(offered))
    with pytest.raises(UserError, match=r"`groups` \(=0\) must be a whole number"):
        GroupConv(24, groups=0)


def test_reduction_that_leaves_nothing():
    with pytest.raises(UserError, match=r"`reduction` \(=16\) must be at most `channels` \(=8\)") as caught:
        SE(8)
    for offered in re.findall(r"\d+", str(caught.value).rpartition("choose")[2]):
        SE(8, reduction=int(offered))
    with pytest.raises(UserError, match=r"`reduction` \(=0\) must be a whole number"):
        SE(8, reduction=0)


def test_repr_shows_what_was_found():
    assert "56 -> 64, groups=8, budget='scconv'" in repr(GroupConv(64))
    assert "56 -> 64, budget='scconv'" in repr(DepthwiseSeparableConv(64))
    for build in (UngatedSRU, RandomGateSRU):
        assert repr(build(8, num_groups=2)) == f"{build.__name__}(8, num_groups=2, gate_input='x', norm='group_norm')"
