"""ResNet and ResNeXt: torchvision's own, but for the stem of small images."""

import math
import re

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from scconv_lab.errors import UserError
from scconv_lab.models import Net, ResNet, ResNeXt

# what each net is called in torchvision, its arguments here, and its parameters as torchvision's pages state them
NETS = {
    "resnet18": (ResNet, {"depth": 18}, 11_689_512),
    "resnet34": (ResNet, {"depth": 34}, 21_797_672),
    "resnet50": (ResNet, {"depth": 50}, 25_557_032),
    "resnet101": (ResNet, {"depth": 101}, 44_549_160),
    "resnet152": (ResNet, {"depth": 152}, 60_192_808),
    "resnext50_32x4d": (ResNeXt, {"depth": 50, "groups": 32, "width_per_group": 4}, 25_028_904),
    "resnext101_32x8d": (ResNeXt, {"depth": 101, "groups": 32, "width_per_group": 8}, 88_791_336),
}


def shapes(net):
    return {name: tensor.shape for name, tensor in net.state_dict().items()}


@pytest.mark.parametrize("name", NETS)
def test_the_net_is_torchvisions(name):
    cls, arguments, params = NETS[name]
    with torch.device("meta"):
        net, theirs = cls(1000, **arguments), getattr(torchvision.models, name)()
    assert isinstance(net, Net)
    assert isinstance(net, torchvision.models.ResNet)
    assert list(shapes(net).items()) == list(shapes(theirs).items())
    assert {type(module) for module in net.layer1} == {Bottleneck if arguments["depth"] >= 50 else BasicBlock}
    assert sum(parameter.numel() for parameter in net.parameters()) == params


def test_defaults_are_resnet_50_and_resnext_50_32x4d():
    with torch.device("meta"):
        assert shapes(ResNet(10)) == shapes(torchvision.models.resnet50(num_classes=10))
        assert shapes(ResNeXt(10)) == shapes(torchvision.models.resnext50_32x4d(num_classes=10))


def test_the_same_seed_gives_torchvisions_weights_and_outputs():
    torch.manual_seed(1)
    net = ResNet(5, depth=18).eval()
    torch.manual_seed(1)
    theirs = torchvision.models.resnet18(num_classes=5).eval()
    x = torch.randn(2, 3, 40, 40)
    assert torch.equal(net(x), theirs(x))


def test_torchvisions_weights_load_and_give_its_outputs():
    theirs = torchvision.models.resnet18(num_classes=5).eval()
    net = ResNet(5, depth=18).eval()
    net.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 40, 40)
    assert torch.equal(net(x), theirs(x))


@pytest.mark.parametrize("cls", [ResNet, ResNeXt])
def test_the_cifar_stem_changes_conv1_and_maxpool_alone(cls):
    with torch.device("meta"):
        small, large = cls(100, stem="cifar"), cls(100, stem="imagenet")
    ours, theirs = ({name: repr(m) for name, m in net.named_modules() if not [*m.children()]} for net in (small, large))
    assert ours.keys() == theirs.keys()
    assert {name for name in ours if ours[name] != theirs[name]} == {"conv1", "maxpool"}
    assert list(small.state_dict()) == list(large.state_dict())
    assert repr(small.conv1) == repr(nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False))


def test_the_cifar_stem_keeps_height_and_width():
    seen = []
    with torch.device("meta"):
        net = ResNet(100, depth=18, stem="cifar")
        for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
            stage.register_forward_pre_hook(lambda module, inputs: seen.append(tuple(inputs[0].shape[1:])))
        assert net(torch.empty(2, 3, 32, 32)).shape == (2, 100)
    assert seen == [(64, 32, 32), (64, 32, 32), (128, 16, 16), (256, 8, 8)]


def test_the_cifar_stem_starts_like_torchvisions_convolutions():
    """He et al.'s normal initialisation by fan-out: a standard deviation of sqrt(2 / (64 * 3 * 3))."""
    torch.manual_seed(0)
    weight = ResNet(10, depth=18, stem="cifar").conv1.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.1)


def test_a_seed_fixes_the_cifar_stem():
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(ResNet(10, depth=18, stem="cifar").state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert not torch.equal(weights[0]["conv1.weight"], weights[2]["conv1.weight"])


@pytest.mark.parametrize(
    ("cls", "depth", "fitting"), [(ResNet, 20, "18, 34, 50, 101, 152"), (ResNeXt, 18, "50, 101, 152")]
)
def test_another_depth_is_refused(cls, depth, fitting):
    with pytest.raises(UserError, match=rf"`depth` \(={depth}\) must be one of {fitting}$"):
        cls(10, depth=depth)


@pytest.mark.parametrize("cls", [ResNet, ResNeXt])
def test_another_stem_is_refused(cls):
    with torch.device("meta"), pytest.raises(UserError, match=r"`stem` \(='cifr'\) must be one of 'imagenet', 'cifar'"):
        cls(10, stem="cifr")


@pytest.mark.parametrize("cls", [ResNet, ResNeXt])
def test_all_but_the_classes_is_named(cls):
    with pytest.raises(TypeError):
        cls(10, 50)


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize("depth", [18, 50])
def test_other_widths(depth, stem):
    """Widths of 8, 12, 20, 24: no two alike, none torchvision's."""
    torch.manual_seed(0)
    net = ResNet(7, depth=depth, stem=stem, widths=(8, 12, 20, 24))
    assert [net.conv1.out_channels, net.bn1.num_features] == [8, 8]
    assert [net.get_submodule(f"layer{i}.1.conv2").out_channels for i in (1, 2, 3, 4)] == [8, 12, 20, 24]
    assert net.fc.in_features == 24 * (4 if depth == 50 else 1)
    with torch.device("meta"):
        assert list(net.state_dict()) == list(ResNet(7, depth=depth, stem=stem).state_dict())
    assert net.conv1.weight.std().item() == pytest.approx((2 / (8 * net.conv1.kernel_size[0] ** 2)) ** 0.5, rel=0.1)
    logits = net(torch.randn(2, 3, 37, 37))
    assert logits.shape == (2, 7)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_widths_of_torchvision_are_torchvisions_weights():
    torch.manual_seed(1)
    net = ResNet(5, depth=50, widths=(64, 128, 256, 512)).state_dict()
    torch.manual_seed(1)
    theirs = torchvision.models.resnet50(num_classes=5).state_dict()
    assert list(net) == list(theirs)
    assert all(torch.equal(net[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("widths", [(64, 128, 256), (64, 128, 256, 0)])
def test_other_than_four_widths_are_refused(widths):
    with pytest.raises(UserError, match=rf"`widths` \(={re.escape(str(widths))}\) must be 4 numbers .* at least 1"):
        ResNet(10, widths=widths)
