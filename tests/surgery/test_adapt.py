"""How a unit takes the shape of a convolution: the policies, and what they cannot do."""

import copy
import itertools
import re

import pytest
import timm.layers
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

from scconv_lab.errors import UserError
from scconv_lab.nn import CRU, SRU, ScConv
from scconv_lab.nn.unit import stride_pool
from scconv_lab.surgery import apply_surgery

STRIDES = ["pool_before", "pool_after", "unit"]
CHANNELS = ["unit", "project_before", "project_after"]
ACTIONS = ["replace", "parallel"]
each_action = pytest.mark.parametrize("action", ACTIONS)


def operated(conv, unit=ScConv, **placement):
    """What stands where the convolution stood, once it is replaced."""
    net = nn.Sequential(conv)
    apply_surgery(net, unit, sites="0", **placement)
    return net[0]


def refused(conv, pattern, unit=ScConv, **placement):
    net = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), conv)
    before = list(net)
    with pytest.raises(UserError, match=pattern) as info:
        apply_surgery(net, unit, sites="*", **placement)
    assert list(net) == before
    assert "of the 2 selected sites: " in str(info.value)
    return str(info.value)


# Sizes


@pytest.mark.parametrize(
    "geometry",
    [
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": 3, "padding": 1, "stride": (1, 2)},
        {"kernel_size": 1, "stride": 2},
        {"kernel_size": 5, "padding": 2, "stride": 3},
        {"kernel_size": 7, "padding": 3, "stride": 4},
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": (1, 3), "padding": (0, 1)},
        {"kernel_size": 3, "padding": 1, "stride": 2, "groups": 8},
        {"kernel_size": 3, "padding": 2, "dilation": 2},
        {"kernel_size": 3, "padding": "same", "dilation": 3},
        {"kernel_size": 3, "padding": (1, 2), "dilation": (1, 2), "stride": (2, 1)},
        {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    ],
    ids=str,
)
def test_a_replacement_gives_the_map_of_the_convolution(geometry):
    """For 8 and for 16 channels out; the dilation stays the unit's, since one here is not square."""
    for out_channels, stride_policy, channel_policy in (
        (8, "pool_before", "unit"),
        (16, "pool_before", "project_after"),
        (16, "pool_after", "project_before"),
        (16, "pool_after", "unit"),
    ):
        with torch.device("meta"):
            conv = nn.Conv2d(8, out_channels, **geometry)
            policies = {"stride_policy": stride_policy, "channel_policy": channel_policy}
            part = operated(conv, CRU, dilation_policy="unit", **policies)
            for size in (2, 3, 7, 8, 33):  # reflecting needs two rows
                x = torch.empty(1, 8, size, size + 1)
                assert part(x).shape == conv(x).shape


SHAPES = list(itertools.product((1, 2, 3), (1, 2), (1, 3, 5, 7)))


@pytest.mark.parametrize(("stride", "dilation", "kernel_size"), SHAPES)
def test_the_unit_takes_the_whole_shape_of_a_square_convolution(stride, dilation, kernel_size):
    """All policies left to the unit: it stands there alone."""
    for out_channels, action in (6, "replace"), (8, "parallel"), (16, "replace"):
        with torch.device("meta"):
            padding = dilation * (kernel_size // 2)
            conv = nn.Conv2d(8, out_channels, kernel_size, stride=stride, dilation=dilation, padding=padding)
            part = operated(conv, action=action, stride_policy="unit", kernel_policy="site")
            for size in (1, 2, 9):
                x = torch.empty(2, 8, size, size + 1)
                assert part(x).shape == conv(x).shape
        unit = part if action == "replace" else part.unit
        assert type(unit) is ScConv
        assert unit.cru.gwc.kernel_size == (kernel_size, kernel_size)
        assert unit.cru.gwc.dilation == (dilation, dilation)
        assert unit.cru.gwc.out_channels == out_channels
        assert unit.cru.squeeze_up.stride == (stride, stride)


@each_action
@pytest.mark.parametrize(
    ("geometry", "made"),
    [
        ({"kernel_size": 3}, "(59, 60)"),
        ({"kernel_size": 3, "padding": "valid"}, "(59, 60)"),
        ({"kernel_size": 3, "padding": 2}, "(63, 64)"),
        ({"kernel_size": 2, "padding": 1, "stride": 2}, "(31, 32)"),
        ({"kernel_size": 3, "padding": (1, 0)}, "(61, 60)"),
        ({"kernel_size": 3, "padding": 1, "dilation": 2}, "(59, 60)"),
        ({"kernel_size": 4, "stride": 4}, "(15, 15)"),
        ({"kernel_size": 99}, "nothing"),
    ],
    ids=str,
)
def test_a_convolution_that_changes_the_size_is_refused(geometry, made, action):
    message = refused(nn.Conv2d(8, 8, **geometry), r"1: it is Conv2d\(8, 8, .* padding keeps height and", action=action)
    assert f"makes {made} of (61, 62), while a unit makes" in message


@pytest.mark.parametrize(
    "geometry",
    [
        {"kernel_size": (2, 3), "stride": 2, "padding": 1},
        {"kernel_size": (3, 2), "stride": 2, "padding": 1},
        {"kernel_size": 4, "stride": 5, "padding": 2},
        {"kernel_size": 6, "stride": 7, "padding": 3},
    ],
    ids=str,
)
def test_a_convolution_that_changes_some_sizes_is_refused(geometry):
    """They make what a unit makes of most heights and widths, and more of others."""
    refused(nn.Conv2d(8, 8, **geometry), "padding keeps height and width")


@each_action
def test_a_subclass_that_pads_for_itself_is_taken(action):
    conv = timm.layers.Conv2dSame(8, 16, 3, stride=2)
    x = torch.randn(2, 8, 9, 8)
    expected = conv(x).shape
    part = operated(conv, action=action)
    assert part(x).shape == expected
    refused(nn.Conv2d(8, 16, 3, stride=2), "padding keeps height and width", action=action)


@each_action
def test_a_subclass_that_takes_more_than_a_map_is_refused(action):
    class Masked(nn.Conv2d):
        def forward(self, x, mask):
            return super().forward(x * mask)

    refused(Masked(8, 8, 3, padding=1), r"1: it is Masked\(8, 8, ", action=action)


@each_action
def test_a_pruned_convolution_is_taken(action):
    conv = nn.Conv2d(8, 8, 3, padding=1)
    prune.l1_unstructured(conv, "weight", amount=0.5)
    assert operated(conv, action=action)(torch.randn(1, 8, 4, 4)).shape == (1, 8, 4, 4)


@each_action
def test_a_parametrized_convolution_is_taken(action):
    conv = torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 3, padding=1))
    assert operated(conv, action=action)(torch.randn(1, 8, 4, 4)).shape == (1, 8, 4, 4)


def test_looking_at_a_convolution_leaves_it_alone():
    conv = nn.Conv2d(8, 8, 3, padding=1)
    calls = []
    conv.register_forward_hook(lambda *_: calls.append(1))
    weight = conv.weight
    part = operated(conv, action="parallel")
    assert part.conv.weight is weight
    assert weight.device.type == "cpu"
    assert calls == []


# Strides


@pytest.mark.parametrize("policy", STRIDES[:2])
def test_a_stride_averages_the_windows_that_the_border_cuts(policy):
    part = operated(nn.Conv2d(4, 4, 3, stride=2, padding=1), lambda channels: nn.Identity(), stride_policy=policy)
    x = torch.randn(2, 4, 5, 5)
    y = part(x)
    torch.testing.assert_close(y[..., :2, :2], F.avg_pool2d(x, 2))
    torch.testing.assert_close(y[..., 2, 2], x[..., 4, 4])
    torch.testing.assert_close(y[..., 0, 2], x[..., :2, 4].mean(-1))


ORDERS = {
    ("pool_before", "unit"): ["pool", "unit"],
    ("pool_before", "project_before"): ["pool", "project", "unit"],
    ("pool_before", "project_after"): ["pool", "unit", "project"],
    ("pool_after", "unit"): ["unit", "pool"],
    ("pool_after", "project_before"): ["project", "unit", "pool"],
    ("pool_after", "project_after"): ["unit", "pool", "project"],
    ("unit", "unit"): [],
    ("unit", "project_before"): ["project", "unit"],
    ("unit", "project_after"): ["unit", "project"],
}


@each_action
@pytest.mark.parametrize(("policies", "order"), ORDERS.items(), ids=str)
def test_policies_put_together_by_hand(policies, order, action):
    """Order, names, who has which channels, and the values."""
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 16, 3, stride=2, padding=1).double()
    stride_policy, channel_policy = policies
    part = operated(conv, action=action, stride_policy=stride_policy, channel_policy=channel_policy)
    inner = part if action == "replace" else part.unit
    assert [name for name, _ in inner.named_children()] == order or not order
    unit = inner.unit if order else inner
    assert type(unit) is ScConv
    assert unit.sru.channels == (16 if channel_policy == "project_before" else 8)
    assert unit.cru.gwc.out_channels == (8 if channel_policy == "project_after" else 16)
    assert unit.cru.squeeze_up.stride == ((2, 2) if stride_policy == "unit" else (1, 1))
    if channel_policy != "unit":
        assert (inner.project.in_channels, inner.project.out_channels) == (8, 16)
        assert inner.project.kernel_size == (1, 1)
        assert inner.project.bias is None
    x = torch.randn(2, 8, 7, 5, dtype=torch.float64)
    steps = {"pool": stride_pool((2, 2)), "unit": unit, "project": getattr(inner, "project", None)}
    y = x
    for name in order or ["unit"]:
        y = steps[name](y)
    assert torch.equal(part(x), y + conv(x) if action == "parallel" else y)


@pytest.mark.parametrize("policy", STRIDES)
def test_no_policy_changes_a_site_of_stride_1_and_like_channels(policy):
    for channel_policy in CHANNELS:
        conv = nn.Conv2d(8, 8, 3, padding=1)
        assert type(operated(conv, stride_policy=policy, channel_policy=channel_policy)) is ScConv


@pytest.mark.parametrize("policy", STRIDES)
def test_an_asymmetric_stride(policy):
    conv = nn.Conv2d(8, 8, 3, padding=1, stride=(1, 2))
    if policy == "unit":
        refused(conv, r"1: its stride \(1, 2\) is not square, and a unit takes a single number", stride_policy=policy)
    else:
        part = operated(conv, stride_policy=policy)
        x = torch.randn(1, 8, 5, 5)
        assert part.pool.kernel_size == (1, 2)
        assert part(x).shape == (1, 8, 5, 3)


# Channels, kernels, dilations


@pytest.mark.parametrize(
    ("unit", "kind"),
    [(SRU, nn.Conv2d), (CRU, type(None)), (ScConv, type(None))],
    ids=["SRU", "CRU", "ScConv"],
)
def test_a_unit_changes_the_channels_in_its_own_way(unit, kind):
    part = operated(nn.Conv2d(8, 16, 3, padding=1), unit)
    assert type(part) is unit
    assert type(getattr(part, "project", None)) is kind
    assert part(torch.randn(1, 8, 3, 3)).shape == (1, 16, 3, 3)


def test_sru_keeps_a_stride_to_the_pools():
    refused(nn.Conv2d(8, 8, 3, padding=1, stride=2), "the unit takes none; choose", SRU, stride_policy="unit")
    part = operated(nn.Conv2d(8, 8, 3, padding=1, stride=2), SRU)
    assert [name for name, _ in part.named_children()] == ["pool", "unit"]


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
def test_the_kernel_is_the_units_or_the_sites(kernel_size):
    conv = nn.Conv2d(8, 8, kernel_size, padding=kernel_size // 2)
    wide = lambda channels, **shape: CRU(channels, **{"kernel_size": 9} | shape)  # noqa: E731
    for unit, own in ((CRU, 3), (wide, 9)):
        assert operated(copy.deepcopy(conv), unit).gwc.kernel_size == (own, own)
        assert operated(copy.deepcopy(conv), unit, kernel_policy="unit").gwc.kernel_size == (own, own)
        assert operated(copy.deepcopy(conv), unit, kernel_policy="site").gwc.kernel_size == (kernel_size, kernel_size)


def test_a_kernel_that_is_not_square():
    conv = nn.Conv2d(8, 8, (1, 3), padding=(0, 1))
    assert type(operated(copy.deepcopy(conv))) is ScConv
    refused(conv, r"1: its kernel \(1, 3\) is not square, and a unit takes a single number", kernel_policy="site")
    assert type(operated(copy.deepcopy(conv), SRU, kernel_policy="site")) is SRU  # which has no kernel to set


def test_an_even_kernel_of_a_site_does_not_suit_a_unit():
    refused(timm.layers.Conv2dSame(8, 8, 4), r"1: `kernel_size` \(=4\) must be odd", kernel_policy="site")


def test_the_dilation_is_the_sites_or_the_units():
    conv = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
    own = lambda channels, **shape: CRU(channels, **{"dilation": 3} | shape)  # noqa: E731
    assert operated(copy.deepcopy(conv), CRU).gwc.dilation == (2, 2)
    assert operated(copy.deepcopy(conv), own).gwc.dilation == (2, 2)
    assert operated(copy.deepcopy(conv), CRU, dilation_policy="unit").gwc.dilation == (1, 1)
    assert operated(copy.deepcopy(conv), own, dilation_policy="unit").gwc.dilation == (3, 3)
    assert operated(nn.Conv2d(8, 8, 3, padding=1), own).gwc.dilation == (3, 3)
    assert type(operated(copy.deepcopy(conv), SRU)) is SRU


def test_a_dilation_that_is_not_square():
    conv = nn.Conv2d(8, 8, 3, padding=(1, 2), dilation=(1, 2))
    refused(conv, r"1: its dilation \(1, 2\) is not square, and a unit takes a single number")
    assert type(operated(copy.deepcopy(conv), dilation_policy="unit")) is ScConv


# Units of one's own


def plain(channels):
    return SRU(channels)


@each_action
@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        (
            {"out_channels": 8, "stride": 2},
            "1: it has stride (2, 2), and the unit takes none; choose `stride_policy` pool_before or pool_after",
        ),
        (
            {"out_channels": 16},
            "1: it maps 8 to 16 channels, and the unit keeps their number; choose `channel_policy` project_before or "
            "project_after",
        ),
    ],
    ids=["stride", "channels"],
)
def test_a_unit_without_arguments_for_a_shape_needs_policies(geometry, message, action):
    conv = nn.Conv2d(8, kernel_size=3, padding=1, **geometry)
    refused(conv, re.escape(message), plain, action=action, stride_policy="unit")
    for channel_policy in ("project_before", "project_after"):
        part = operated(copy.deepcopy(conv), plain, action=action, channel_policy=channel_policy)
        x = torch.randn(1, 8, 5, 5)
        assert part(x).shape == conv(x).shape


@each_action
def test_a_unit_without_arguments_for_a_shape_does_with_kernels_and_dilations(action):
    conv = nn.Conv2d(8, 8, 5, padding=4, dilation=2)
    part = operated(conv, plain, action=action, kernel_policy="site")
    assert part(torch.randn(1, 8, 9, 9)).shape == (1, 8, 9, 9)


@each_action
def test_a_unit_is_asked_for_no_more_than_the_site_needs(action):
    asked = []

    def unit(channels, **shape):
        asked.append((channels, shape))
        return nn.Identity()

    convs = [
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2),
        nn.Conv2d(8, 8, 3, padding=1, stride=2),
        nn.Conv2d(8, 16, 3, padding=1),
    ]
    apply_surgery(nn.Sequential(*convs), unit, sites="*", action=action, stride_policy="unit")
    assert asked == [(8, {}), (8, {"dilation": 2}), (8, {"stride": 2}), (8, {"out_channels": 16})]


@pytest.mark.parametrize(("action", "channels"), [("insert_after", 16), ("insert_before", 8)])
def test_insertions_ask_for_channels_alone(action, channels):
    asked = []

    def unit(*args, **shape):
        asked.append((args, shape))
        return nn.Identity()

    net = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, dilation=2))
    apply_surgery(net, unit, sites="0", action=action, stride_policy="unit", kernel_policy="site")
    assert asked == [((channels,), {})]
