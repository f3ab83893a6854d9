"""What all units promise, and the helpers behind their messages."""

import pytest
import torch
from torch import nn

from scconv_lab.errors import UserError
from scconv_lab.nn import CRU, READINGS, SRU, ScConv, Unit
from scconv_lab.nn.unit import choose_one_of, divisors, require_choice, require_positive

UNITS = {"SRU": SRU, "CRU": CRU, "ScConv": ScConv} | {
    name: lambda channels, arguments=arguments: ScConv(channels, **arguments) for name, arguments in READINGS.items()
}


@pytest.mark.parametrize("channels", [8, 24, 64, 160])
@pytest.mark.parametrize("build", UNITS.values(), ids=UNITS)
def test_a_unit_keeps_shape_and_dtype(build, channels):
    """The law: channels -> Unit, (B, C, H, W) -> (B, C, H, W)."""
    unit = build(channels)
    assert isinstance(unit, Unit)
    for size in [(2, 4, 4), (1, 5, 3), (3, 1, 1), (1, 1, 9)]:
        x = torch.randn(size[0], channels, *size[1:])
        y = unit(x)
        assert y.shape == x.shape
        assert y.dtype == x.dtype
        assert y.isfinite().all()


@pytest.mark.parametrize("build", UNITS.values(), ids=UNITS)
def test_all_but_channels_is_named(build):
    with pytest.raises(TypeError):
        build(8, 4, 0.5)


@pytest.mark.parametrize("build", UNITS.values(), ids=UNITS)
def test_a_unit_trains(build):
    """A few steps towards a target lower the loss, in a net of convolution, unit and norm."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), build(8), nn.BatchNorm2d(8))
    x, target = torch.randn(8, 3, 6, 6), torch.randn(8, 8, 6, 6)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    losses = []
    for _ in range(10):
        loss = (net(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_divisors():
    assert divisors(12) == [1, 2, 3, 4, 6, 12]
    assert divisors(12, 18) == [1, 2, 3, 6]
    assert divisors(1) == [1]


def test_choose_one_of_shortens():
    assert choose_one_of([1, 2]) == "choose one of 1, 2"
    assert choose_one_of(range(1, 9)) == "choose one of 1, 2, 3, 4, 5, 6, 7, 8"
    assert choose_one_of(range(1, 10)) == "choose one of 1, 2, 3, 4, 5, 6, 7, 8, ..."
    assert choose_one_of("abc", shown=2) == "choose one of a, b, ..."


def test_require_choice():
    require_choice("fusion", "joint", ("pairwise", "joint"))
    with pytest.raises(UserError, match=r"^`fusion` \(=None\) must be one of 'pairwise', 'joint'$"):
        require_choice("fusion", None, ("pairwise", "joint"))


def test_require_positive():
    require_positive("groups", 1)
    with pytest.raises(UserError, match=r"^`groups` \(=0\) must be a whole number of at least 1$"):
        require_positive("groups", 0)


def test_user_error_is_a_value_error():
    assert issubclass(UserError, ValueError)
