"""Wide residual networks: WRN-28-10 and its kin."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scconv_lab.complexity import count_macs, count_params
from scconv_lab.errors import UserError
from scconv_lab.models import Net, WideResNet
from scconv_lab.models.wide_resnet import PreActBlock

# depth, factor and, in millions at 10 classes, what Zagoruyko and Komodakis print in their Table 4
PARAMS = [(40, 1, 0.6), (40, 2, 2.2), (40, 4, 8.9), (28, 10, 36.5), (22, 8, 17.2), (16, 8, 11.0)]


def meta_net(num_classes=10, **arguments):
    with torch.device("meta"):
        return WideResNet(num_classes, **arguments)


@pytest.mark.parametrize(("depth", "factor", "millions"), PARAMS)
def test_parameters_are_those_of_the_paper(depth, factor, millions):
    net = meta_net(depth=depth, widen_factor=factor)
    assert isinstance(net, Net)
    assert count_params(net) / 1e6 == pytest.approx(millions, abs=0.051)


def test_the_default_is_wrn_28_10():
    net = meta_net(100)
    assert count_params(net) == 36_536_884
    assert count_macs(net, (3, 32, 32)) == 5_243_386_368


def test_biases_and_the_stride_in_the_second_3x3_are_what_the_scconv_paper_counts():
    """36.55M and 5.96G in its Table 2; G counts two for each element of a batch norm."""
    net = meta_net(100, bias=True, stride_in="conv2")
    assert count_params(net) == 36_546_980
    assert count_macs(net, (3, 32, 32)) == 5_951_175_168
    convs = {name: module for name, module in net.named_modules() if isinstance(module, nn.Conv2d)}
    assert len(convs) == 28
    assert all(conv.bias is not None for conv in convs.values())
    strided = [name for name, conv in convs.items() if conv.stride == (2, 2)]
    assert strided == [f"layer{i}.0.{name}" for i in (2, 3) for name in ("conv2", "downsample.0")]


@pytest.mark.parametrize("arguments", [{"bias": True}, {"stride_in": "conv2"}, {"bias": True, "stride_in": "conv2"}])
def test_a_variant_maps_to_the_same_shapes(arguments):
    block, variant = PreActBlock(4, 6, stride=2), PreActBlock(4, 6, stride=2, **arguments)
    x = torch.randn(2, 4, 7, 7)
    assert variant(x).shape == block(x).shape == (2, 6, 4, 4)
    assert variant.state_dict().keys() >= block.state_dict().keys()


def test_another_place_of_the_stride_is_refused():
    with pytest.raises(UserError, match=r"`stride_in` \(='conv3'\) must be one of 'conv1', 'conv2'"):
        WideResNet(10, stride_in="conv3")


@pytest.mark.parametrize("depth", [10, 16, 28])
def test_depth_counts_the_convolutions(depth):
    convs = [name for name, module in meta_net(depth=depth).named_modules() if isinstance(module, nn.Conv2d)]
    assert len(convs) == depth
    assert [name for name in convs if "downsample" in name] == [f"layer{i}.0.downsample.0" for i in (1, 2, 3)]


def test_a_block_holds_two_3x3_convolutions_of_its_own():
    blocks = [module for module in meta_net().modules() if isinstance(module, PreActBlock)]
    assert len(blocks) == 12
    for block in blocks:
        own = {name: conv.kernel_size for name, conv in block.named_children() if isinstance(conv, nn.Conv2d)}
        assert own == {"conv1": (3, 3), "conv2": (3, 3)}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [4, 6])
def test_a_block_is_the_papers_formula(stride, channels):
    torch.manual_seed(0)
    block = PreActBlock(4, channels, stride=stride).eval()
    for norm in (block.bn1, block.bn2):
        nn.init.normal_(norm.running_mean)
        nn.init.normal_(norm.bias)
    x = torch.randn(2, 4, 7, 7)
    active = F.relu(block.bn1(x))
    inner = F.conv2d(active, block.conv1.weight, stride=stride, padding=1)
    residual = F.conv2d(F.relu(block.bn2(inner)), block.conv2.weight, padding=1)
    plain = stride == 1 and channels == 4
    shortcut = x if plain else F.conv2d(active, block.downsample[0].weight, stride=stride)
    before = x.clone()
    torch.testing.assert_close(block(x), shortcut + residual)
    assert torch.equal(x, before)
    assert (block.downsample is None) == plain


@pytest.mark.parametrize("size", [8, 13, 32])
def test_shapes_and_gradients(size):
    net = WideResNet(7, depth=10, widen_factor=1, dropout=0.1)
    seen = []
    net.layer3.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    logits = net(torch.randn(2, 3, size, size))
    assert logits.shape == (2, 7)
    assert seen == [(2, 64, -(-size // 4), -(-size // 4))]
    logits.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in net.parameters())


def test_dropout_works_in_training_alone():
    torch.manual_seed(0)
    net, x = WideResNet(5, depth=10, widen_factor=1, dropout=0.5), torch.randn(2, 3, 8, 8)
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), net(x))


def test_convolutions_start_by_their_fan_out():
    torch.manual_seed(0)
    conv = WideResNet(10, depth=10, widen_factor=4).layer2[0].conv1
    assert conv.weight.std().item() == pytest.approx((2 / (9 * conv.out_channels)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("depth", [-2, 4, 20, 29])
def test_another_depth_is_refused(depth):
    with pytest.raises(UserError, match=rf"`depth` \(={depth}\) must be 6n \+ 4 .*: 10, 16, 22, 28, 40"):
        WideResNet(10, depth=depth)


def test_no_width_is_refused():
    with pytest.raises(UserError, match=r"`widen_factor` \(=0\) must be at least 1"):
        WideResNet(10, widen_factor=0)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan")])
def test_another_dropout_is_refused(dropout):
    with pytest.raises(UserError, match=rf"`dropout` \(={dropout}\) must be at least 0 and below 1"):
        WideResNet(10, dropout=dropout)


def test_all_but_the_classes_is_named():
    with pytest.raises(TypeError):
        WideResNet(10, 28)
