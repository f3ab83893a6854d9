"""CRU as a module: its formula, its parameters, its arguments."""

import itertools
import math
import re
from fractions import Fraction
from typing import Any

import pytest
import torch

from scconv_lab import ops
from scconv_lab.errors import UserError
from scconv_lab.nn import CRU
from tests.nn import literal
from tests.nn.literal import random_input, randomize


@pytest.mark.parametrize("fusion", ops.FUSIONS)
def test_is_the_transcription(fusion):
    unit = randomize(CRU(9, alpha=2 / 3, groups=3, fusion=fusion))  # odd channels are SRU's concern alone
    fuse = {"pairwise": literal.fuse_pairwise, "joint": literal.fuse_joint}[fusion]

    def transcription(x, p):
        p = {f"cru.{name}": literal.scalars(value) for name, value in p.items()}
        return literal.stacked(fuse(*literal.branches(literal.scalars(x), p, Fraction(2, 3), 3)))

    literal.check_parity(unit, transcription, random_input(2, 9, 2, 3))


def test_gradcheck():
    unit = randomize(CRU(4, groups=1))
    assert torch.autograd.gradcheck(unit, (random_input(1, 4, 2, 2).requires_grad_(),))


def test_by_hand():
    """With every weight 0 but the bias of GWC, Y1 = b and Y2 = 0: the output is sigmoid(b) b, by hand."""
    unit = CRU(8)
    with torch.no_grad():
        for parameter in unit.parameters():
            parameter.zero_()
        unit.gwc.bias.copy_(torch.arange(8.0))
    expected = torch.arange(8.0) * torch.arange(8.0).sigmoid()
    y = unit(torch.randn(2, 8, 3, 3))
    torch.testing.assert_close(y, expected.view(1, 8, 1, 1).expand(2, 8, 3, 3))


# Parameters (equation 11)

ALPHAS = [Fraction(n, 8) for n in range(1, 8)]


def equation_11(channels, alpha, squeeze=2, groups=2, kernel=3, out_channels=None):
    """The paper's count for C1 channels in and C2 out, without biases."""
    c1, c2 = channels, out_channels or channels
    up, low = alpha * c1, (1 - alpha) * c1
    return (
        up * up / squeeze
        + kernel**2 * up / (groups * squeeze) * Fraction(c2, groups) * groups
        + up / squeeze * c2
        + low * low / squeeze
        + low / squeeze * (c2 - low / squeeze)
    )


def counted(unit):
    return sum(parameter.numel() for parameter in unit.parameters())


@pytest.mark.parametrize("channels", [64, 256])
@pytest.mark.parametrize("alpha", ALPHAS, ids=str)
def test_parameters_follow_equation_11(channels, alpha):
    with torch.device("meta"):
        unit = CRU(channels, alpha=float(alpha))
    assert counted(unit) - channels == equation_11(channels, alpha)  # GWC's bias is not in the paper's count


@pytest.mark.parametrize(
    ("alpha", "arguments"),
    [
        (Fraction(1, 2), {"squeeze": 1}),
        (Fraction(1, 2), {"squeeze": 4}),
        (Fraction(1, 2), {"groups": 1}),
        (Fraction(3, 4), {"groups": 8}),
        (Fraction(1, 4), {"kernel": 5}),
        (Fraction(1, 4), {"kernel": 1, "squeeze": 8, "groups": 1}),
    ],
)
def test_every_argument_is_in_equation_11(alpha, arguments):
    names = {"squeeze": "squeeze_ratio", "groups": "groups", "kernel": "kernel_size"}
    with torch.device("meta"):
        unit = CRU(64, alpha=float(alpha), **{names[name]: value for name, value in arguments.items()})
    assert counted(unit) - 64 == equation_11(64, alpha, **arguments)


@pytest.mark.parametrize(
    ("alpha", "ratio"), list(zip(ALPHAS, [9.18, 7.29, 5.95, 4.97, 4.21, 3.62, 3.15], strict=True)), ids=str
)
def test_ratio_to_a_3x3_convolution(alpha, ratio):
    with torch.device("meta"):
        unit = CRU(128, alpha=float(alpha))
    assert round(9 * 128**2 / (counted(unit) - 128), 2) == ratio


def test_default_is_1_8125_c_squared():
    with torch.device("meta"):
        unit = CRU(512)
    assert counted(unit) - 512 == 1.8125 * 512**2


@pytest.mark.parametrize("stride_in", ["squeeze", "gwc"])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize(("channels", "out_channels"), [(128, 32), (64, 32), (64, 64), (64, 128), (64, 40), (256, 512)])
def test_parameters_follow_equation_11_from_c1_to_c2(channels, out_channels, kernel, stride_in):
    """Neither a stride nor a dilation has parameters. 128 -> 32 is DenseNet's: the lower PWC has nothing to add."""
    shape: dict[str, Any] = {"stride": 2, "stride_in": stride_in, "dilation": 2, "kernel_size": kernel}
    unit = CRU(channels, out_channels=out_channels, device="meta", **shape)
    expected = equation_11(channels, Fraction(1, 2), kernel=kernel, out_channels=out_channels)
    assert counted(unit) - out_channels == expected
    assert (unit.pwc_low is None) == ((channels, out_channels) == (128, 32))


def test_only_gwc_has_a_bias():
    assert [name for name, _ in CRU(8).named_parameters() if name.endswith("bias")] == ["gwc.bias"]


@pytest.mark.parametrize("alpha", [0.29, 0.57, 0.58])
def test_split_survives_the_rounding_of_alpha(alpha):
    """0.29 * 100 is 28.999999999999996 in floating point, and 29 channels are meant."""
    assert CRU(100, alpha=alpha, squeeze_ratio=1, groups=1).split_sizes == [
        round(100 * alpha),
        100 - round(100 * alpha),
    ]


@pytest.mark.parametrize("channels", [6, 7, 10, 12, 30, 48])
def test_split_rounds_down(channels):
    for n, d in [(1, 2), (1, 3), (2, 3), (3, 7), (5, 6)]:
        up = math.floor(Fraction(n, d) * channels)
        unit = CRU(channels, alpha=n / d, squeeze_ratio=1, groups=1)
        assert unit.split_sizes == [up, channels - up]


# Shapes that are not the input's

SHAPES = list(itertools.product((1, 2, 3), ("squeeze", "gwc"), (4, 6, 8, 12), (1, 2), (1, 3, 5, 7)))


@pytest.mark.parametrize(("stride", "stride_in", "out_channels", "dilation", "kernel_size"), SHAPES)
def test_every_shape_is_its_transcription(stride, stride_in, out_channels, dilation, kernel_size):
    """Odd and 1-pixel maps too; the output and all gradients, and with 4 channels out of 16 no lower PWC."""
    shape: dict[str, Any] = {"stride": stride, "stride_in": stride_in, "dilation": dilation}
    channels = 16 if out_channels == 4 else 8
    unit = randomize(CRU(channels, out_channels=out_channels, kernel_size=kernel_size, **shape))
    for size in ((2, 5, 4), (1, 1, 1)):
        x = random_input(size[0], channels, *size[1:])
        literal.check_parity(unit, lambda x, p: literal.cru_by_windows(x, p, groups=2, **shape), x)
        height, width = (-(-length // stride) for length in size[1:])
        assert unit(x).shape == (size[0], out_channels, height, width)


LOOPED = {
    "stride 2 in the squeezes": {"stride": 2},
    "stride 2 in GWC": {"stride": 2, "stride_in": "gwc"},
    "stride 3 in GWC, dilated": {"stride": 3, "stride_in": "gwc", "dilation": 2},
    "dilated": {"dilation": 2},
    "kernel 5 with stride 3": {"kernel_size": 5, "stride": 3},
    "kernel 1 with stride 2 in GWC": {"kernel_size": 1, "stride": 2, "stride_in": "gwc"},
    "fewer channels out": {"out_channels": 4, "stride": 2},
    "no lower PWC": {"out_channels": 2, "stride": 2, "stride_in": "gwc"},
    "more channels out": {"out_channels": 12, "dilation": 2},
}


@pytest.mark.parametrize("fusion", ops.FUSIONS)
@pytest.mark.parametrize("shape", LOOPED.values(), ids=LOOPED)
def test_a_shape_is_its_transcription_value_by_value(shape, fusion):
    unit = randomize(CRU(8, fusion=fusion, **shape))
    fuse = {"pairwise": literal.fuse_pairwise, "joint": literal.fuse_joint}[fusion]
    of_branches = {name: shape[name] for name in ("stride", "stride_in", "dilation") if name in shape}

    def transcription(x, p):
        p = {f"cru.{name}": literal.scalars(value) for name, value in p.items()}
        return literal.stacked(fuse(*literal.branches(literal.scalars(x), p, 0.5, 2, **of_branches)))

    literal.check_parity(unit, transcription, random_input(1, 8, 3, 4))


@pytest.mark.parametrize("fusion", ops.FUSIONS)
@pytest.mark.parametrize("stride_in", ["squeeze", "gwc"])
def test_gradients_reach_every_parameter_of_a_shape(stride_in, fusion):
    for out_channels in (8, 24, 32):
        unit = CRU(32, out_channels=out_channels, stride=2, stride_in=stride_in, fusion=fusion, dilation=2)
        unit(torch.randn(2, 32, 7, 5)).square().sum().backward()
        assert all(parameter.grad.abs().max() > 0 for parameter in unit.parameters())


@pytest.mark.parametrize(("stride", "kernel_size", "dilation"), list(itertools.product((1, 2, 3), (1, 3, 7), (1, 2))))
def test_gives_the_map_of_the_convolution_that_it_replaces(stride, kernel_size, dilation):
    geometry: dict[str, Any] = {"stride": stride, "dilation": dilation}
    padding = dilation * (kernel_size // 2)
    for stride_in, size in itertools.product(("squeeze", "gwc"), (1, 2, 3, 8, 9)):
        conv = torch.nn.Conv2d(8, 12, kernel_size, padding=padding, device="meta", **geometry)
        unit = CRU(8, kernel_size=kernel_size, out_channels=12, stride_in=stride_in, device="meta", **geometry)
        x = torch.empty(2, 8, size, size + 1, device="meta")
        assert unit(x).shape == conv(x).shape


def common_divisors(*numbers):
    return [d for d in range(1, 401) if not any(number % d for number in numbers)]


def test_auto_groups_are_the_fitting_number_nearest_to_2():
    """Every number of channels up to 200, in and out; of 1 and 3, as near, it is 1."""
    for channels, out_channels in itertools.chain(
        ((c, c) for c in range(4, 201)), ((c, 2 * c) for c in range(4, 201)), ((c, c + 3) for c in range(4, 101))
    ):
        unit = CRU(channels, out_channels=out_channels, groups="auto", device="meta")
        fitting = common_divisors(out_channels, channels // 2 // 2)
        assert unit.gwc.groups == (2 if 2 in fitting else 1)
        assert unit.gwc.groups == min(fitting, key=lambda d: (abs(d - 2), d))
    assert repr(CRU(64, groups="auto")) == repr(CRU(64))


def test_auto_groups_do_not_hide_a_bad_split():
    for channels in (1, 2, 3):
        with pytest.raises(UserError, match=rf"splits `channels` \(={channels}\) into branches of 0 and"):
            CRU(channels, groups="auto")


@pytest.mark.parametrize("name", ["out_channels", "stride", "dilation"])
@pytest.mark.parametrize("value", [0, -1, 2.0, True, "2", (2, 2)])
def test_whole_numbers_of_the_shape(name, value):
    with pytest.raises(UserError, match=re.escape(f"`{name}` (={value!r}) must be a whole number of at least 1")):
        CRU(8, **{name: value})


def test_unknown_stride_in():
    with pytest.raises(UserError, match=r"`stride_in` \(='pool'\) must be one of 'squeeze', 'gwc'"):
        CRU(8, stride_in="pool")


def test_out_channels_not_divisible_by_groups():
    rule = r"`out_channels` \(=9\) must be divisible by `groups` \(=2\); choose 1 groups, or 'auto'"
    with pytest.raises(UserError, match=rule):
        CRU(8, out_channels=9)
    assert CRU(8, out_channels=9, groups="auto").gwc.groups == 1


def test_fewer_channels_out_than_the_squeezed_lower_branch_has():
    with pytest.raises(UserError, match=r"branches of 32 and 32 .* at most `out_channels` \(=16\)") as caught:
        CRU(128, out_channels=16)
    offered = offered_numbers(caught)
    assert min(offered) == 0.75
    for alpha in offered:
        assert CRU(128, out_channels=16, alpha=alpha)(torch.randn(1, 128, 2, 2)).shape == (1, 16, 2, 2)
    CRU(128, out_channels=16, squeeze_ratio=4)


def test_device_and_dtype():
    unit = CRU(8, out_channels=12, device="meta", dtype=torch.float64)
    assert {(p.device.type, p.dtype) for p in unit.parameters()} == {("meta", torch.float64)}
    assert unit(torch.empty(2, 8, 3, 3, device="meta", dtype=torch.float64)).dtype == torch.float64


def test_state_dict_keys():
    keys = ["squeeze_up.weight", "squeeze_low.weight", "gwc.weight", "gwc.bias", "pwc_up.weight", "pwc_low.weight"]
    assert list(CRU(8).state_dict()) == keys
    assert list(CRU(8, stride=2, stride_in="gwc", dilation=2).state_dict()) == keys


# Arguments


def offered_numbers(error):
    """The numbers that a message offers after its last `choose`."""
    return [float(n) for n in re.findall(r"\d+(?:\.\d+)?", str(error.value).rpartition("choose")[2])]


@pytest.mark.parametrize("alpha", [0, 1, 0.0, 1.0, -0.5, 1.5, math.nan, math.inf])
def test_alpha_out_of_range(alpha):
    rule = re.escape(f"`alpha` (={alpha}) must lie between 0 and 1, both excluded")
    with pytest.raises(UserError, match=rule) as caught:
        CRU(8, alpha=alpha)
    CRU(8, alpha=float(re.findall(r"\d\.\d+", str(caught.value))[-1]))


SPLITS = {
    "the upper branch is empty": {"channels": 8, "alpha": 0.1, "groups": 1},
    "the upper branch is empty once squeezed": {"channels": 8, "alpha": 0.2, "groups": 1},
    "the lower branch is empty once squeezed": {"channels": 8, "alpha": 0.9, "groups": 1},
    "3 squeezed channels in 2 groups": {"channels": 8, "alpha": 0.75},
    "2 squeezed channels in 4 groups": {"channels": 16, "alpha": 0.25, "groups": 4},
    "6 squeezed channels in 8 groups": {"channels": 64, "alpha": 0.4, "groups": 8, "squeeze_ratio": 4},
    "9 channels have no half": {"channels": 9, "alpha": 0.5, "groups": 3, "squeeze_ratio": 1},
}


@pytest.mark.parametrize("arguments", SPLITS.values(), ids=SPLITS)
def test_split_that_does_not_fit(arguments):
    with pytest.raises(UserError) as caught:
        CRU(**arguments)
    message = str(caught.value)
    for name in ("channels", "alpha"):
        assert f"`{name}` (={arguments[name]})" in message
    assert f"`squeeze_ratio` (={arguments.get('squeeze_ratio', 2)})" in message
    assert f"`groups` (={arguments.get('groups', 2)})" in message
    offered = offered_numbers(caught)
    assert offered
    for alpha in offered:
        unit = CRU(**arguments | {"alpha": alpha})
        assert unit(torch.randn(1, arguments["channels"], 2, 2)).shape == (1, arguments["channels"], 2, 2)
    nearest = min(offered, key=lambda alpha: abs(alpha - arguments["alpha"]))
    assert offered[0] == nearest


def test_every_offered_alpha_fits():
    """All small settings: whatever the message offers can be built."""
    checked = 0
    for channels, squeeze_ratio, groups in itertools.product(range(2, 17), (1, 2, 3), (1, 2, 3)):
        for alpha in (0.01, 0.6):
            try:
                CRU(channels, alpha=alpha, squeeze_ratio=squeeze_ratio, groups=groups)
            except UserError as error:
                offers = re.search(r"choose one of ([\d., ]+?)(?:, \.\.\.)? for `alpha`", str(error))
                for offered in offers[1].split(", ") if offers else ():
                    CRU(channels, alpha=float(offered), squeeze_ratio=squeeze_ratio, groups=groups)
                    checked += 1
    assert checked > 200


def test_no_alpha_fits():
    """The way out is then another argument, and taking it helps."""
    with pytest.raises(UserError, match="choose a smaller `squeeze_ratio` or `groups`"):
        CRU(8, squeeze_ratio=8)
    CRU(8, squeeze_ratio=2)
    with pytest.raises(UserError, match="choose a smaller `squeeze_ratio` or `groups`"):
        CRU(8, groups=8)
    CRU(8, groups=2)


def test_one_channel_cannot_be_split():
    """No smaller squeeze_ratio or groups than 1 exist: more channels are the only way out."""
    with pytest.raises(UserError) as caught:
        CRU(1, squeeze_ratio=1, groups=1)
    assert "smaller" not in str(caught.value)


@pytest.mark.parametrize(("channels", "groups"), [(64, 3), (6, 4), (12, 5), (8, 16), (256, 96)])
def test_channels_not_divisible_by_groups(channels, groups):
    rule = rf"`channels` \(={channels}\) must be divisible by `groups` \(={groups}\)"
    with pytest.raises(UserError, match=rule) as caught:
        CRU(channels, groups=groups)
    offered = offered_numbers(caught)
    assert offered
    for fitting in offered:
        CRU(channels, groups=int(fitting))


@pytest.mark.parametrize("kernel_size", [2, 4, 6])
def test_even_kernel(kernel_size):
    with pytest.raises(UserError, match=rf"`kernel_size` \(={kernel_size}\) must be odd") as caught:
        CRU(8, kernel_size=kernel_size)
    offered = [int(number) for number in offered_numbers(caught)]
    assert offered == [kernel_size - 1, kernel_size + 1]
    for fitting in offered:
        assert CRU(8, kernel_size=fitting)(torch.randn(1, 8, 4, 3)).shape == (1, 8, 4, 3)


@pytest.mark.parametrize("name", ["channels", "squeeze_ratio", "groups", "kernel_size"])
@pytest.mark.parametrize("value", [0, -2, 1.0, False, "3", None])
def test_whole_numbers(name, value):
    with pytest.raises(UserError, match=re.escape(f"`{name}` (={value!r}) must be a whole number of at least 1")):
        CRU(**{"channels": 8, name: value})


def test_unknown_fusion():
    with pytest.raises(UserError, match=r"`fusion` \(='sum'\) must be one of 'pairwise', 'joint'"):
        CRU(8, fusion="sum")


def test_repr_shows_the_arguments():
    text = repr(CRU(8, alpha=0.25, squeeze_ratio=1, kernel_size=5, fusion="joint"))
    for shown in ("8, alpha=0.25, fusion='joint'", "kernel_size=(5, 5)", "groups=2"):
        assert shown in text
