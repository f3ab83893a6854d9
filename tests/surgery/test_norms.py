"""Which norm follows a convolution, and what happens where none does."""

import pytest
import timm.layers
import torch
import torchvision
from torch import nn
from torchvision.models.densenet import _DenseLayer
from torchvision.models.resnet import BasicBlock, Bottleneck

from scconv_lab.errors import UserError
from scconv_lab.models import CifarResNet
from scconv_lab.nn import SRU
from scconv_lab.surgery import apply_surgery


def operate(net, sites):
    return [edit.unit for edit in apply_surgery(net, SRU, sites=sites, action="insert_before_norm").edits]


@pytest.mark.parametrize(("block", "count"), [(BasicBlock(8, 8), 2), (Bottleneck(16, 4), 3)])
def test_every_convolution_of_a_residual_block_has_its_norm(block, count):
    assert operate(block, "*") == [f"bn{n}.unit" for n in range(1, count + 1)]
    assert all(type(getattr(block, f"bn{n}").norm) is nn.BatchNorm2d for n in range(1, count + 1))
    channels = {8: 8, 16: 16}[block.conv1.in_channels]
    assert block(torch.randn(2, channels, 5, 5)).shape == (2, channels, 5, 5)


def test_stem_and_downsampling_of_a_resnet():
    net = CifarResNet(10, depth=8)
    assert operate(net, ["conv1", "*downsample*"]) == [
        "bn1.unit",
        "layer2.0.downsample.1.unit",
        "layer3.0.downsample.1.unit",
    ]
    assert net(torch.randn(2, 3, 8, 8)).shape == (2, 10)


def test_a_dense_layer_has_a_norm_behind_its_1x1_alone():
    """Its 3x3 ends it: the next layer's norm takes a concatenation."""
    layer = _DenseLayer(16, 8, 2, 0.0)
    assert operate(layer, "conv1") == ["norm2.unit"]
    assert type(layer.norm2.norm) is nn.BatchNorm2d
    assert layer([torch.randn(2, 16, 5, 5)]).shape == (2, 8, 5, 5)
    with pytest.raises(UserError, match=r"conv2: nothing follows it in its module, and no norm; choose insert_after"):
        operate(_DenseLayer(16, 8, 2, 0.0), "conv2")


def test_a_densenet_names_all_that_it_refuses():
    with torch.device("meta"):
        net = torchvision.models.densenet121()
    with pytest.raises(UserError, match=r"fits 58 of the 58 .* features\.denseblock1\.denselayer1\.conv2: noth"):
        operate(net, "paper")
    with pytest.raises(UserError, match=r"features.transition1.conv: AvgPool2d follows it"):
        operate(net, "*transition1*")
    assert operate(net, "features.conv0") == ["features.norm0.unit"]


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(8),
        nn.GroupNorm(2, 8),
        nn.InstanceNorm2d(8),
        nn.SyncBatchNorm(8),
        torchvision.ops.FrozenBatchNorm2d(8),
        timm.layers.LayerNorm2d(8),
        timm.layers.BatchNormAct2d(8),
        type("Own", (nn.BatchNorm2d,), {})(8),
    ],
    ids=lambda norm: type(norm).__name__,
)
def test_what_a_norm_is(norm):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), norm)
    assert operate(net, "0") == ["1.unit"]
    assert net[1].norm is norm


@pytest.mark.parametrize(
    ("between", "follower"),
    [
        ([nn.ReLU()], "ReLU"),
        ([nn.Conv2d(8, 8, 1)], "Conv2d"),
        ([timm.layers.ConvNormAct(8, 8, 1)], "ConvNormAct"),
        ([nn.Identity(), nn.ReLU()], "ReLU"),
        ([nn.Identity()], "nothing"),
        ([], "nothing"),
    ],
    ids=str,
)
def test_what_else_follows_is_named(between, follower):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), *between)
    with pytest.raises(UserError, match=rf"0: {follower} follows it in its module, and no norm; choose insert_after"):
        operate(net, "0")


@pytest.mark.parametrize("between", [nn.Identity(), nn.Dropout(0.1), timm.layers.DropBlock2d()], ids=str)
def test_a_norm_may_follow_behind_what_keeps_the_map(between):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), between, nn.BatchNorm2d(8))
    assert operate(net, "0") == ["2.unit"]


def test_the_norm_before_a_convolution_is_not_its_own():
    net = nn.Sequential(nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3))
    with pytest.raises(UserError, match="1: nothing follows it"):
        operate(net, "1")


def test_timm_nets_that_name_their_parts_otherwise():
    net = timm.create_model("efficientnet_b0")
    units = operate(net, ["conv_stem", "blocks.1.0.conv_dw"])
    assert units == ["bn1.unit", "blocks.1.0.bn2.unit"]
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 1000)
