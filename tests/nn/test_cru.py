"""CRU as a module: its formula, its parameters, its arguments."""

import itertools
import math
import re
from fractions import Fraction

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


def equation_11(channels, alpha, squeeze=2, groups=2, kernel=3):
    """The paper's count, without biases."""
    up, low = alpha * channels, (1 - alpha) * channels
    return (
        up * up / squeeze
        + kernel**2 * up / (groups * squeeze) * Fraction(channels, groups) * groups
        + up / squeeze * channels
        + low * low / squeeze
        + low / squeeze * (channels - low / squeeze)
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
