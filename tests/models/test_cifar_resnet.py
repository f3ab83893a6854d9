"""The small ResNet of He et al., section 4.2, with projection shortcuts."""

import re

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock

from scconv_lab.errors import UserError
from scconv_lab.models import CifarResNet, Net

# at 10 classes: the 0.27M, 0.46M, 0.66M, 0.85M and 1.7M of He et al., Table 6, and 2,752 for the two projections
PARAMS = {8: 78_042, 20: 272_474, 32: 466_906, 44: 661_338, 56: 855_770, 110: 1_730_714}


def meta_net(depth):
    with torch.device("meta"):
        return CifarResNet(10, depth=depth)


@pytest.mark.parametrize(("depth", "params"), PARAMS.items())
def test_parameters(depth, params):
    net = meta_net(depth)
    assert isinstance(net, Net)
    assert sum(parameter.numel() for parameter in net.parameters()) == params


@pytest.mark.parametrize("depth", PARAMS)
def test_depth_counts_the_layers(depth):
    """Convolutions and the linear layer, without the two projections."""
    layers = [name for name, module in meta_net(depth).named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len([name for name in layers if "downsample" not in name]) == depth
    assert [name for name in layers if "downsample" in name] == ["layer2.0.downsample.0", "layer3.0.downsample.0"]


def test_keys_are_torchvisions():
    with torch.device("meta"):
        theirs = torchvision.models.ResNet(BasicBlock, [3, 3, 3, 1])
    assert list(meta_net(20).state_dict()) == [key for key in theirs.state_dict() if not key.startswith("layer4")]


@pytest.mark.parametrize("size", [8, 28, 32])
def test_stages_halve_the_map(size):
    seen = {}
    net = CifarResNet(10, depth=8)
    for name in ("layer1", "layer2", "layer3"):
        net.get_submodule(name).register_forward_hook(lambda m, x, y, name=name: seen.update({name: y.shape[1:]}))
    logits = net(torch.randn(2, 3, size, size))
    assert logits.shape == (2, 10)
    assert logits.isfinite().all()
    assert seen == {
        "layer1": (16, size, size),
        "layer2": (32, size // 2, size // 2),
        "layer3": (64, size // 4, size // 4),
    }


def test_a_seed_fixes_the_weights():
    nets = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        nets.append(CifarResNet(10, depth=8).state_dict())
    assert all(torch.equal(nets[0][key], nets[1][key]) for key in nets[0])
    assert not torch.equal(nets[0]["layer3.0.conv2.weight"], nets[2]["layer3.0.conv2.weight"])


def test_convolutions_start_by_their_fan_out():
    """A standard deviation of sqrt(2 / (C_out * k * k)), as torchvision's."""
    torch.manual_seed(0)
    net = CifarResNet(10, depth=8)
    for name in ("layer2.0.conv1", "layer3.0.conv2", "layer3.0.downsample.0"):
        conv = net.get_submodule(name)
        fan_out = conv.out_channels * conv.kernel_size[0] ** 2
        assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)


@pytest.mark.parametrize("depth", [-4, 0, 2, 7, 18, 21, 55, 1208, 6 * 10**9 + 2])
def test_another_depth_is_refused(depth):
    with pytest.raises(UserError, match=rf"`depth` \(={depth}\) must be 6n \+ 2 .*: 8, 20, 32, 44, 56, 110"):
        CifarResNet(10, depth=depth)


def test_all_but_the_classes_is_named():
    with pytest.raises(TypeError):
        CifarResNet(10, 20)


@pytest.mark.parametrize("size", [8, 13])
def test_other_widths(size):
    net = CifarResNet(7, depth=8, widths=(5, 3, 9))
    names = ("conv1", "layer1.0.conv2", "layer2.0.conv2", "layer3.0.conv2")
    assert [net.get_submodule(name).out_channels for name in names] == [5, 5, 3, 9]
    assert net.widths == (5, 3, 9)
    logits = net(torch.randn(2, 3, size, size))
    assert logits.shape == (2, 7)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_widths_of_16_32_64_are_the_default():
    nets = []
    for arguments in ({}, {"widths": [16, 32, 64]}):
        torch.manual_seed(1)
        nets.append(CifarResNet(10, depth=8, **arguments).state_dict())
    assert all(torch.equal(nets[0][key], nets[1][key]) for key in nets[0])


@pytest.mark.parametrize("widths", [(16, 32), (16, 32, 64, 128), (16, 0, 64)])
def test_other_than_three_widths_are_refused(widths):
    with pytest.raises(UserError, match=rf"`widths` \(={re.escape(str(widths))}\) must be 3 numbers .* at least 1"):
        CifarResNet(10, widths=widths)
