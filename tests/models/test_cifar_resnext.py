"""ResNeXt for CIFAR: the one of the SCConv paper's Table 2, and those of Xie et al."""

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import Bottleneck

from scconv_lab.complexity import count_macs, count_params
from scconv_lab.errors import UserError
from scconv_lab.models import CifarResNeXt, Net


def meta_net(num_classes=100, **arguments):
    with torch.device("meta"):
        return CifarResNeXt(num_classes, **arguments)


def test_the_default_has_the_parameters_of_the_papers_table_2():
    net = meta_net()
    assert isinstance(net, Net)
    assert count_params(net) == 28_270_756
    assert count_macs(net, (3, 32, 32)) == 4_427_386_880


@pytest.mark.parametrize(("groups", "params"), [(8, 34.4e6), (16, 68.1e6)])
def test_parameters_of_xie_et_al(groups, params):
    """Their Table 7, at CIFAR-10."""
    assert count_params(meta_net(10, groups=groups, width_per_group=64)) == pytest.approx(params, rel=2e-3)


@pytest.mark.parametrize("depth", [11, 20, 29, 38])
def test_depth_counts_the_layers(depth):
    names = [name for name, m in meta_net(depth=depth).named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len([name for name in names if "downsample" not in name]) == depth
    assert [name for name in names if "downsample" in name] == [f"layer{i}.0.downsample.0" for i in (1, 2, 3)]


def test_keys_and_blocks_are_torchvisions():
    with torch.device("meta"):
        theirs = torchvision.models.ResNet(Bottleneck, [3, 3, 3, 1], groups=8, width_per_group=56)
    shared = {key: value.shape for key, value in theirs.state_dict().items() if not key.startswith("layer4")}
    ours = {key: value.shape for key, value in meta_net().state_dict().items()}
    assert list(ours) == list(shared)
    assert {key for key in ours if ours[key] != shared[key]} == {"conv1.weight", "fc.weight", "fc.bias"}


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_the_3x3_convolutions_are_grouped_and_double_by_stage(stage):
    block = meta_net(groups=4, width_per_group=16).get_submodule(f"layer{stage}.1")
    width = 64 * 2 ** (stage - 1)
    assert (block.conv2.in_channels, block.conv2.out_channels, block.conv2.groups) == (width, width, 4)
    assert (block.conv1.groups, block.conv3.out_channels) == (1, 256 * 2 ** (stage - 1))


@pytest.mark.parametrize("size", [8, 13, 32])
def test_shapes_and_gradients(size):
    net = CifarResNeXt(7, depth=11, groups=2, width_per_group=4)
    seen = []
    net.layer3.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    logits = net(torch.randn(2, 3, size, size))
    assert logits.shape == (2, 7)
    assert seen == [(2, 1024, -(-size // 4), -(-size // 4))]
    logits.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in net.parameters())


def test_convolutions_start_by_their_fan_out():
    torch.manual_seed(0)
    conv = CifarResNeXt(10, depth=11).layer2[0].conv1
    assert conv.weight.std().item() == pytest.approx((2 / conv.out_channels) ** 0.5, rel=0.02)


@pytest.mark.parametrize("depth", [-7, 2, 10, 28, 30])
def test_another_depth_is_refused(depth):
    with pytest.raises(UserError, match=rf"`depth` \(={depth}\) must be 9n \+ 2 .*: 20, 29, 38, 47, 56"):
        CifarResNeXt(10, depth=depth)


@pytest.mark.parametrize("name", ["groups", "width_per_group"])
def test_no_groups_or_width_is_refused(name):
    with pytest.raises(UserError, match=rf"`{name}` \(=0\) must be at least 1"):
        CifarResNeXt(10, **{name: 0})


def test_all_but_the_classes_is_named():
    with pytest.raises(TypeError):
        CifarResNeXt(10, 29)
