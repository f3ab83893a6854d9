"""DenseNet: torchvision's own, but for the stem of small images."""

import math

import pytest
import torch
import torchvision
from torch import nn

from scconv_lab.complexity import count_macs, count_params
from scconv_lab.errors import UserError
from scconv_lab.models import DenseNet, Net

# parameters at 1000 classes, as torchvision's pages state them
PARAMS = {121: 7_978_856, 169: 14_149_480, 201: 20_013_928}


def meta_net(num_classes=100, **arguments):
    with torch.device("meta"):
        return DenseNet(num_classes, **arguments)


@pytest.mark.parametrize(("depth", "params"), PARAMS.items())
def test_the_net_is_torchvisions(depth, params):
    net = meta_net(1000, depth=depth)
    with torch.device("meta"):
        theirs = getattr(torchvision.models, f"densenet{depth}")()
    assert isinstance(net, Net)
    assert isinstance(net, torchvision.models.DenseNet)
    shapes, their_shapes = ([(key, t.shape) for key, t in n.state_dict().items()] for n in (net, theirs))
    assert shapes == their_shapes
    assert count_params(net) == params


def test_the_same_seed_gives_torchvisions_weights():
    torch.manual_seed(1)
    net = DenseNet(5).state_dict()
    torch.manual_seed(1)
    theirs = torchvision.models.densenet121(num_classes=5).state_dict()
    assert all(torch.equal(net[key], theirs[key]) for key in theirs)


def test_the_cifar_stem_has_the_papers_parameters_and_nearly_its_macs():
    """Table 2 has 7.05M and 898.23M; the MACs are 1.1 % more, which is two for each element of a norm."""
    net = meta_net(stem="cifar")
    assert count_params(net) == 7_048_676
    assert count_macs(net, (3, 32, 32)) == 888_442_880


def test_the_cifar_stem_changes_conv0_and_pool0_alone():
    small, large = meta_net(stem="cifar"), meta_net()
    ours, theirs = ({name: repr(m) for name, m in net.named_modules() if not [*m.children()]} for net in (small, large))
    assert list(ours) == list(theirs)
    assert {name for name in ours if ours[name] != theirs[name]} == {"features.conv0", "features.pool0"}
    assert repr(small.features.conv0) == repr(nn.Conv2d(3, 64, 3, padding=1, bias=False))


def test_the_cifar_stem_starts_like_torchvisions_convolutions():
    """By the fan-in, unlike ResNet's: a standard deviation of sqrt(2 / (3 * 3 * 3))."""
    torch.manual_seed(0)
    weight = DenseNet(10, stem="cifar").features.conv0.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / 27), rel=0.1)


@pytest.mark.parametrize(("stem", "size", "last"), [("cifar", 17, 2), ("cifar", 16, 2), ("imagenet", 64, 2)])
def test_shapes_and_gradients(stem, size, last):
    net = DenseNet(7, stem=stem)
    seen = []
    net.features.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    logits = net(torch.randn(2, 3, size, size))
    assert logits.shape == (2, 7)
    assert seen == [(2, 1024, last, last)]
    logits.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in net.parameters())


@pytest.mark.parametrize("depth", [100, 161])
def test_another_depth_is_refused(depth):
    with pytest.raises(UserError, match=rf"`depth` \(={depth}\) must be one of 121, 169, 201$"):
        DenseNet(10, depth=depth)


def test_another_stem_is_refused():
    with pytest.raises(UserError, match=r"`stem` \(='cifr'\) must be one of 'imagenet', 'cifar'"):
        DenseNet(10, stem="cifr")


def test_all_but_the_classes_is_named():
    with pytest.raises(TypeError):
        DenseNet(10, 121)
