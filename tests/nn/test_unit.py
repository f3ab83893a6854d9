"""What all units promise, and the helpers behind their messages."""

import inspect

import pytest
import torch
from torch import nn

from scconv_lab.errors import UserError
from scconv_lab.nn import CRU, READINGS, SRU, ScConv, Unit
from scconv_lab.nn.unit import GEOMETRY, divisors, nearest_first, stride_pool

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


def test_units_say_which_arguments_take_the_shape_of_a_convolution():
    taken = {unit: {name for name in GEOMETRY if name in inspect.signature(unit).parameters} for unit in UNITS.values()}
    assert taken[SRU] == {"out_channels"}
    assert taken[CRU] == taken[ScConv] == {"out_channels", "kernel_size", "stride", "dilation"} == set(GEOMETRY)


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


@pytest.mark.parametrize("build", UNITS.values(), ids=UNITS)
def test_state_dict_keys_at_the_default_arguments(build):
    """Checkpoints of earlier versions load."""
    sru = {"weight", "bias"}
    cru = {f"{name}.weight" for name in ("squeeze_up", "squeeze_low", "gwc", "pwc_up", "pwc_low")} | {"gwc.bias"}
    both = {f"sru.{name}" for name in sru} | {f"cru.{name}" for name in cru}
    assert set(build(8).state_dict()) == {SRU: sru, CRU: cru}.get(build, both)


@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 3), (1, 2), (3, 2)], ids=str)
def test_a_stride_pool_averages_what_a_window_holds(stride):
    x = torch.arange(35.0).view(1, 1, 5, 7)
    expected = [[part.mean() for part in row.split(stride[1], 3)] for row in x.split(stride[0], 2)]
    torch.testing.assert_close(stride_pool(stride)(x)[0, 0], torch.tensor(expected))
    assert stride_pool(stride)(x[..., :1, :1]).shape == (1, 1, 1, 1)


def test_nearest_first():
    assert nearest_first([1, 2, 3, 6], 4) == [3, 2, 6, 1]
    assert nearest_first([1, 5], 3) == [1, 5]


def test_divisors():
    assert divisors(12) == [1, 2, 3, 4, 6, 12]
    assert divisors(12, 18) == [1, 2, 3, 6]
    assert divisors(1) == [1]


def test_user_error_is_a_value_error():
    assert issubclass(UserError, ValueError)
