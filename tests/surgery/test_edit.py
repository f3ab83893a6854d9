"""What surgery does to a net, what it leaves alone, and what it refuses."""

from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from scconv_lab.errors import UserError
from scconv_lab.models import CifarResNet
from scconv_lab.nn import CRU, SRU, ScConv
from scconv_lab.surgery import apply_surgery, select_sites

UNITS = [SRU, CRU, ScConv]
ACTIONS = ["replace", "insert_after"]
each_unit = pytest.mark.parametrize("unit", UNITS)
each_action = pytest.mark.parametrize("action", ACTIONS)


def small_net():
    """Three basic blocks whose paper sites are 16, 32 and 64 channels wide."""
    return CifarResNet(10, depth=8)


def strided_net():
    """Two bottlenecks, 8 wide; the first one's paper site has stride 2."""
    downsample = nn.Sequential(nn.Conv2d(16, 32, 1, stride=2, bias=False), nn.BatchNorm2d(32))
    return nn.Sequential(Bottleneck(16, 8, stride=2, downsample=downsample), Bottleneck(32, 8))


def params(module):
    return sum(parameter.numel() for parameter in module.parameters())


@each_action
@each_unit
def test_the_report_tells_every_edit(unit, action):
    net = small_net()
    before = params(net)
    report = apply_surgery(net, unit, action=action)
    assert (report.unit, report.action) == (unit.__name__, action)
    assert report.params_added == params(net) - before
    assert [edit.site for edit in report.edits] == ["layer1.0.conv2", "layer2.0.conv2", "layer3.0.conv2"]
    for edit, channels in zip(report.edits, (16, 32, 64), strict=True):
        assert edit.before.startswith(f"Conv2d({channels}, {channels}, kernel_size=(3, 3)")
        assert edit.after.startswith(
            f"{unit.__name__}(" if action == "replace" else f"{edit.before} -> {unit.__name__}("
        )
        assert edit.params_before == 9 * channels**2
        assert edit.params_after == params(unit(channels)) + (0 if action == "replace" else 9 * channels**2)


def test_the_report_shows_the_pool_of_a_strided_site():
    first, second = apply_surgery(strided_net(), CRU).edits
    assert first.after.startswith("AvgPool2d(kernel_size=(2, 2)")
    assert " -> CRU(8, " in first.after
    assert second.after.startswith("CRU(8, ")


@each_action
@each_unit
def test_the_rest_of_the_net_stays(unit, action):
    net = small_net()
    sites = select_sites(net, "paper")
    convs = [net.get_submodule(site) for site in sites]
    tensors = {name: (tensor, tensor.detach().clone()) for name, tensor in net.state_dict(keep_vars=True).items()}
    apply_surgery(net, unit, action=action)
    after = net.state_dict(keep_vars=True)
    for name, (tensor, value) in tensors.items():
        module, _, leaf = name.rpartition(".")
        if module in sites:
            continue
        assert after[f"{module}.{leaf}"] is tensor
        assert torch.equal(tensor, value)
    for site, conv in zip(sites, convs, strict=True):
        successor = net.get_submodule(site)
        if action == "replace":
            assert isinstance(successor, unit)
        else:
            assert [name for name, _ in successor.named_children()] == ["conv", "unit"]
            assert successor.conv is conv
            assert isinstance(successor.unit, unit)


@pytest.mark.parametrize("size", [(8, 8), (7, 7), (5, 9), (33, 2)], ids=str)
@each_action
@each_unit
def test_outputs_keep_their_shape(unit, action, size):
    net = strided_net()
    x = torch.randn(2, 16, *size)
    plain = net(x)
    apply_surgery(net, unit, action=action)
    y = net(x)
    assert y.shape == plain.shape
    assert y.isfinite().all()
    assert not torch.equal(y, plain)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 33])
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
    ],
    ids=str,
)
def test_a_replacement_gives_the_map_of_the_convolution(geometry, size):
    with torch.device("meta"):
        net = nn.Sequential(nn.Conv2d(8, 8, **geometry))
        x = torch.empty(1, 8, size, size + 1)
        expected = net(x).shape
        apply_surgery(net, ScConv, sites="0")
        assert net(x).shape == expected


def test_a_stride_averages_before_the_unit():
    """Windows that the border cuts average what they hold."""
    net = nn.Sequential(nn.Conv2d(4, 4, 3, stride=2, padding=1))
    apply_surgery(net, lambda channels: nn.Identity(), sites="0")
    x = torch.randn(2, 4, 5, 5)
    y = net(x)
    torch.testing.assert_close(y[..., :2, :2], F.avg_pool2d(x, 2))
    torch.testing.assert_close(y[..., 2, 2], x[..., 4, 4])
    torch.testing.assert_close(y[..., 0, 2], x[..., :2, 4].mean(-1))


def test_an_inserted_unit_sees_what_the_convolution_makes():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU())
    x = torch.randn(2, 3, 9, 9)
    conv = net[0]
    apply_surgery(net, CRU, sites="0", action="insert_after")
    assert torch.equal(net(x), net[0].unit(conv(x)).relu())


@each_action
@each_unit
def test_gradients_reach_every_parameter(unit, action):
    net = strided_net()
    apply_surgery(net, unit, action=action)
    net(torch.randn(2, 16, 9, 9)).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@each_action
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_units_take_the_dtype(dtype, action):
    net = strided_net().to(dtype)
    apply_surgery(net, ScConv, action=action)
    assert {parameter.dtype for parameter in net.parameters()} == {dtype}
    y = net(torch.randn(2, 16, 9, 9, dtype=dtype))
    assert y.dtype == dtype
    assert y.isfinite().all()


@each_action
def test_units_take_the_device(action):
    net = strided_net().to("meta")
    apply_surgery(net, ScConv, action=action)
    assert {parameter.device.type for parameter in net.parameters()} == {"meta"}


@each_action
@pytest.mark.parametrize("training", [True, False])
def test_units_take_the_training_mode_of_their_convolution(training, action):
    net = strided_net().train(training)
    net[1].train(not training)
    apply_surgery(net, ScConv, action=action)
    for site, expected in (("0.conv2", training), ("1.conv2", not training)):
        successor = net.get_submodule(site)
        parts = [m for name, m in successor.named_modules() if "unit" in name or isinstance(m, ScConv)]
        assert parts
        assert {part.training for part in parts} == {expected}


@each_action
def test_a_shared_convolution_gets_one_shared_unit(action):
    conv = nn.Conv2d(8, 8, 3, padding=1)
    net = nn.Sequential(OrderedDict(first=conv, middle=nn.ReLU(), second=conv))
    before = params(net)
    report = apply_surgery(net, CRU, sites="*", action=action)
    assert net.first is net.second
    assert len(report.edits) == 1
    assert report.params_added == params(net) - before
    assert net(torch.randn(1, 8, 5, 5)).shape == (1, 8, 5, 5)


@each_action
def test_a_shared_block_stays_shared(action):
    block = BasicBlock(8, 8)
    net = nn.Sequential(block, block)
    report = apply_surgery(net, CRU, action=action)
    assert [edit.site for edit in report.edits] == ["0.conv2"]
    assert net[0] is net[1]
    assert net(torch.randn(2, 8, 5, 5)).shape == (2, 8, 5, 5)


def test_every_site_gets_a_unit_of_its_own():
    net = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 8))
    apply_surgery(net, SRU)
    assert net[0].conv2 is not net[1].conv2


def refuses_and_changes_nothing(net, pattern, unit=SRU, **placement):
    """Assert that surgery fails with a message, and that the net is as it was; return the error."""
    modules = list(net.named_modules())
    values = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(UserError, match=pattern) as info:
        apply_surgery(net, unit, **placement)
    after = list(net.named_modules())
    assert [name for name, _ in after] == [name for name, _ in modules]
    assert all(new is old for (_, new), (_, old) in zip(after, modules, strict=True))
    assert all(torch.equal(tensor, values[name]) for name, tensor in net.state_dict().items())
    return info.value


def test_a_site_that_changes_the_channels_is_not_replaced():
    error = refuses_and_changes_nothing(
        small_net(), r"site 'layer2.0.conv1' maps 16 to 32 channels", sites="layer?.0.conv?"
    )
    assert "leave the site out" in str(error)
    assert "insert the unit after it" in str(error)


@pytest.mark.parametrize(
    "geometry",
    [
        {"kernel_size": 3},
        {"kernel_size": 3, "padding": "valid"},
        {"kernel_size": 3, "padding": 2},
        {"kernel_size": 2, "padding": 1, "stride": 2},
        {"kernel_size": 3, "padding": (1, 0)},
        {"kernel_size": 3, "padding": 2, "dilation": 2},
        {"kernel_size": 3, "padding": "same", "dilation": 2},
    ],
    ids=str,
)
def test_a_site_that_changes_the_size_or_is_dilated_is_not_replaced(geometry):
    net = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, **geometry))
    error = refuses_and_changes_nothing(net, r"site '1' is Conv2d\(8, 8, .* keeps height and width", sites="*")
    assert "leave the site out" in str(error)
    assert "insert the unit after it" in str(error)


@pytest.mark.parametrize(
    "conv",
    [nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 3, padding=2, dilation=2), nn.Conv2d(8, 8, 3, stride=2)],
    ids=["more channels", "dilated", "not padded"],
)
def test_what_is_not_replaced_can_be_inserted_after(conv):
    net = nn.Sequential(conv)
    x = torch.randn(2, conv.in_channels, 9, 9)
    expected = conv(x).shape
    apply_surgery(net, SRU, sites="0", action="insert_after")
    assert net(x).shape == expected


def test_another_action_is_refused():
    refuses_and_changes_nothing(
        small_net(), r"`action` \(='replce'\) must be one of 'replace', 'insert_after'", action="replce"
    )


@pytest.mark.parametrize(
    "action",
    ["replace", "insert_after"],
)
def test_another_stride_policy_is_refused(action):
    pattern = r"`stride_policy` \(='pool'\) must be one of 'pool_before'"
    refuses_and_changes_nothing(strided_net(), pattern, action=action, stride_policy="pool")


@each_action
def test_a_unit_that_does_not_fit_names_the_site(action):
    net = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1))
    pattern = r"no unit fits site '1': `channels` \(=6\) must be divisible by `num_groups` \(=4\)"
    refuses_and_changes_nothing(net, pattern, sites="*", action=action)


def test_a_value_error_of_any_unit_names_the_site():
    def picky(channels):
        if channels > 16:
            raise ValueError(f"at most 16 channels, not {channels}")
        return nn.Identity()

    error = refuses_and_changes_nothing(
        small_net(), r"no unit fits site 'layer2.0.conv2': at most 16 channels, not 32", picky
    )
    assert type(error.__cause__) is ValueError


def test_a_defect_of_a_unit_is_not_disguised():
    with pytest.raises(ZeroDivisionError):
        apply_surgery(small_net(), lambda channels: 1 / 0)


def test_unmatched_sites_change_nothing():
    refuses_and_changes_nothing(small_net(), r"'layer9\.\*' ?\) matches none", sites=["paper", "layer9.*"])
