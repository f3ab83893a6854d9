"""Nets that surgery cannot work on as they are, and what it counts of parameters that are shared."""

import functools

import pytest
import torch
from torch import nn
from torch.ao.nn.intrinsic.qat import ConvBnReLU2d
from torch.ao.quantization import get_default_qat_qconfig

from scconv_lab.complexity import count_cost
from scconv_lab.errors import UserError
from scconv_lab.nn import CRU, SRU, ScConv
from scconv_lab.surgery import apply_surgery, preflight


def conv(**arguments) -> nn.Conv2d:
    return nn.Conv2d(16, 16, 3, padding=1, **arguments)


def params(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


class Block(nn.Module):
    def __init__(self, conv1=None, conv2=None):
        super().__init__()
        self.conv1, self.conv2 = conv1 or conv(), conv2 or conv()

    def forward(self, x):
        return x + self.conv2(self.conv1(x).relu())


def test_a_convolution_that_has_seen_no_input_is_refused_where_it_is_a_site():
    net = nn.Sequential(Block(), nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d())
    with pytest.raises(UserError, match="1: it is a LazyConv2d that has seen no input"):
        apply_surgery(net, SRU, sites="*", action="insert_after")
    assert len(apply_surgery(net, SRU, sites="0.conv2", action="insert_after").edits) == 1
    net(torch.randn(2, 16, 8, 8))
    apply_surgery(net, SRU, sites="1", action="insert_after")


@pytest.mark.parametrize(("dtype", "what"), [(torch.complex64, "complex"), (torch.complex128, "complex")])
def test_weights_that_are_no_real_numbers_are_refused(dtype, what):
    with pytest.raises(UserError, match=f"0: its weights are {what}"):
        apply_surgery(nn.Sequential(conv(dtype=dtype)), SRU, sites="0", action="insert_after")


@pytest.mark.parametrize("action", ["insert_after", "insert_before", "replace", "parallel"])
@pytest.mark.parametrize("sites", ["conv2", "*"])
def test_tied_weights_are_counted_once(action, sites):
    net = Block()
    net.conv2.weight = net.conv1.weight
    before = params(net)
    report = apply_surgery(net, ScConv, sites=sites, action=action)
    assert report.params_added == params(net) - before


@pytest.mark.parametrize("action", ["insert_after", "replace", "parallel"])
def test_a_unit_that_a_factory_gives_twice_is_counted_once(action):
    unit, net = SRU(16), nn.Sequential(Block(), Block())
    before = params(net)
    report = apply_surgery(net, lambda channels: unit, sites="*.conv2", action=action)
    assert report.params_added == params(net) - before


class ConvReLU(nn.Conv2d):
    def forward(self, x):
        return super().forward(x).relu()


class ConvNorm(nn.Conv2d):
    def __init__(self, *arguments, **others):
        super().__init__(*arguments, **others)
        self.norm = nn.BatchNorm2d(self.out_channels)

    def forward(self, x):
        return self.norm(super().forward(x))


class Standardised(nn.Conv2d):
    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight, self.bias)


def fused() -> nn.Conv2d:
    return ConvBnReLU2d(16, 16, 3, padding=1, qconfig=get_default_qat_qconfig())


@pytest.mark.filterwarnings("ignore")  # torch.ao's own, of its end
@pytest.mark.parametrize("make", [ConvReLU, ConvNorm, None])
@pytest.mark.parametrize("action", ["replace", "parallel"])
def test_a_subclass_that_does_more_than_convolve_is_not_replaced(make, action):
    net = nn.Sequential(make(16, 16, 3, padding=1) if make else fused())
    name = type(net[0]).__name__
    with pytest.raises(UserError, match=rf"0: it is a {name}, which does more than convolve"):
        apply_surgery(net, ScConv, sites="0", action=action)
    apply_surgery(net, SRU, sites="0", action="insert_after")


def test_a_subclass_that_only_convolves_is_replaced():
    apply_surgery(nn.Sequential(Standardised(16, 16, 3, padding=1)), ScConv, sites="0")


class Held(nn.Module):
    """Calls its layers by what holds them beside the module's own."""

    def __init__(self, hold):
        super().__init__()
        self.a, self.b = conv(), conv()
        self.steps = hold(self.a, self.b)

    def forward(self, x):
        return self.b(self.a(x))


@pytest.mark.parametrize(
    "hold",
    [
        lambda a, b: [a, b],
        lambda a, b: (a, b),
        lambda a, b: {"a": a, "b": b},
        lambda a, b: [[a], {"b": (b,)}],
        lambda a, b: {b},
        lambda a, b: b.forward,
    ],
)
def test_a_layer_that_is_held_elsewhere_too_is_refused(hold):
    net = nn.Sequential(Held(hold))
    with pytest.raises(UserError, match=r"0\.b: 0 \(Held\) holds it in its attribute `steps` too"):
        apply_surgery(net, SRU, sites="0.b", action="insert_after")
    assert isinstance(net[0].b, nn.Conv2d)


@pytest.mark.parametrize("unit", ["SRU", None, 3, SRU(16), [SRU]])
def test_what_makes_no_units_is_refused(unit):
    with pytest.raises(UserError, match=r"`unit` \(=.*\) must make a unit of a number of channels"):
        apply_surgery(Block(), unit, sites="conv2", action="insert_after")


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (lambda channels: None, "`unit` makes None of 16 channels, and no nn.Module"),
        (nn.Conv2d, "`unit` cannot be made of 16 channels"),
        (functools.partial(SRU, groups=3), "`unit` cannot be made of 16 channels .*groups"),
    ],
)
def test_a_factory_that_fails_is_named(unit, message):
    with pytest.raises(UserError, match=message):
        apply_surgery(Block(), unit, sites="conv2", action="insert_after")


class ReadsWeight(Block):
    def forward(self, x):
        return nn.functional.conv2d(self.conv1(x), self.conv2.weight, padding=1)


def test_an_attribute_that_the_net_reads_names_the_site():
    net = nn.Sequential(ReadsWeight())
    report = apply_surgery(net, ScConv, sites="0.conv2")
    for look in (lambda: preflight(net, report, (16, 8, 8)), lambda: count_cost(net, (16, 8, 8))):
        with pytest.raises(UserError, match=r"reads an attribute of the convolution at 0\.conv2 .*'weight'"):
            look()


def test_another_attribute_error_keeps_its_traceback():
    class Wrong(Block):
        def forward(self, x):
            return self.conv3(x)

    net = Wrong()
    report = apply_surgery(net, ScConv, sites="conv2")
    with pytest.raises(AttributeError, match="conv3"):
        preflight(net, report, (16, 8, 8))


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize("action", ["replace", "parallel"])
def test_a_unit_pads_as_its_convolution_does(mode, action):
    net = nn.Sequential(conv(padding_mode=mode)).eval()
    apply_surgery(net, CRU, sites="0", action=action)
    wide = [part for part in net.modules() if isinstance(part, nn.Conv2d) and part.kernel_size != (1, 1)]
    assert {part.padding_mode for part in wide} == {mode}
    if mode == "circular":  # a net on a torus moves its output with its input
        x = torch.randn(1, 16, 8, 8)
        torch.testing.assert_close(net(x.roll(3, dims=3)), net(x).roll(3, dims=3))


def test_a_net_that_takes_more_than_images_is_one_message():
    class OfTwo(Block):
        def forward(self, x, y):
            return super().forward(x) + y

    net = OfTwo()
    report = apply_surgery(net, SRU, sites="conv2", action="insert_after")
    with pytest.raises(UserError, match=r"OfTwo\.forward does not take a batch of images"):
        preflight(net, report, (16, 8, 8))


def test_a_second_surgery_leaves_the_units_of_the_first_alone():
    net = nn.Sequential(Block(), Block())
    apply_surgery(net, ScConv, sites="0.conv2")
    for sites in ({"kernel_size": 3}, "*", lambda site: site.conv.kernel_size == (3, 3)):
        twice = nn.Sequential(Block(), Block())
        apply_surgery(twice, ScConv, sites="0.conv2")
        report = apply_surgery(twice, SRU, sites=sites, action="insert_after")
        assert [edit.site for edit in report.edits] == ["0.conv1", "1.conv1", "1.conv2"]
    report = apply_surgery(net, SRU, sites="0.conv2.cru.gwc", action="insert_after")
    assert [edit.site for edit in report.edits] == ["0.conv2.cru.gwc"]
