"""The paper's sites are found however a block is written: ten styles, libraries' nets, and what is no block."""

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import detection, resnet18, resnet50, wide_resnet50_2
from torchvision.models.quantization import resnet18 as quantizable_resnet18

from scconv_lab.surgery import select_sites
from scconv_lab.surgery.blocks import find_blocks


def conv(channels: int, out: int, width: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, width, stride, width // 2, bias=False)


class Style(nn.Module):
    """A basic block from ``channels`` to ``out`` channels; each style names its paper's site."""

    site = "conv2"

    def __init__(self, channels: int, out: int, stride: int):
        super().__init__()
        self.conv1, self.conv2 = conv(channels, out, stride=stride), conv(out, out)
        self.norm1, self.norm2 = nn.BatchNorm2d(out), nn.BatchNorm2d(out)
        self.skip = nn.Identity() if channels == out else conv(channels, out, 1, stride)

    def residue(self, x):
        return self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))


class Plus(Style):
    def forward(self, x):
        return F.relu(self.skip(x) + self.residue(x))


class PlusInPlace(Style):
    def forward(self, x):
        y = self.residue(x)
        y += self.skip(x)
        return y.relu_()


class TorchAdd(Style):
    def forward(self, x):
        return torch.add(self.skip(x), self.residue(x))


class SumOfList(Style):
    def forward(self, x):
        return sum([self.skip(x), self.residue(x)])


class FloatFunctional(Style):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.plus = nn.quantized.FloatFunctional()

    def forward(self, x):
        return self.plus.add_relu(self.residue(x), self.skip(x))


class ScaledResidue(Style):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.skip(x) + self.scale * F.dropout(self.residue(x), 0.1, self.training)


class SecondDefinedFirst(Style):
    site = "last"

    def __init__(self, channels, out, stride):
        nn.Module.__init__(self)
        self.last = conv(out, out)
        self.first = conv(channels, out, stride=stride)
        self.skip = nn.Identity() if channels == out else conv(channels, out, 1, stride)

    def forward(self, x):
        return self.skip(x) + self.last(self.first(x).relu())


class InSequential(Style):
    site = "body.3"

    def __init__(self, channels, out, stride):
        nn.Module.__init__(self)
        self.body = nn.Sequential(conv(channels, out, stride=stride), nn.BatchNorm2d(out), nn.ReLU(), conv(out, out))
        self.skip = nn.Sequential() if channels == out else nn.Sequential(conv(channels, out, 1, stride))

    def forward(self, x):
        return self.body(x) + self.skip(x)


class ConvNormAct(nn.Sequential):
    def __init__(self, *arguments):
        super().__init__(conv(*arguments), nn.BatchNorm2d(arguments[1]), nn.ReLU())


class OfWrappedConvs(Style):
    site = "two.0"

    def __init__(self, channels, out, stride):
        nn.Module.__init__(self)
        self.one, self.two = ConvNormAct(channels, out, 3, stride), ConvNormAct(out, out)
        self.skip = None if channels == out else ConvNormAct(channels, out, 1, stride)

    def forward(self, x):
        return self.two(self.one(x)) + (x if self.skip is None else self.skip(x))


class PreActivated(Style):
    def forward(self, x):
        x = F.relu(F.instance_norm(x))
        return self.skip(x) + self.conv2(F.relu(self.norm1(self.conv1(x))))


class Gated(Style):
    """With squeeze and excitation by 1x1 convolutions, which are on no way."""

    def __init__(self, channels, out, stride):
        super().__init__(channels, out, stride)
        self.squeeze, self.excite = conv(out, out // 4, 1), conv(out // 4, out, 1)

    def forward(self, x):
        y = self.residue(x)
        return self.skip(x) + y * self.excite(self.squeeze(y.mean((2, 3), keepdim=True)).relu()).sigmoid()


class TwoInputs(Style):
    """That does not run by itself."""

    def forward(self, x, drop_rate):
        return self.skip(x) + F.dropout(self.residue(x), drop_rate)


STYLES = [
    *(Plus, PlusInPlace, TorchAdd, SumOfList, FloatFunctional, ScaledResidue, SecondDefinedFirst, InSequential),
    *(OfWrappedConvs, PreActivated, Gated, TwoInputs),
]


@pytest.mark.parametrize("style", STYLES)
def test_a_basic_block_however_it_is_written(style):
    net = nn.Sequential(conv(3, 16), style(16, 16, 1), style(16, 32, 2))
    assert select_sites(net, "paper") == [f"1.{style.site}", f"2.{style.site}"]
    assert select_sites(net, {"block": "basic"}) != []


class Bottleneck(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.skip = conv(channels, out, 1, stride)
        self.reduce, self.spatial, self.expand = conv(channels, 8, 1), conv(8, 8, 3, stride), conv(8, out, 1)

    def forward(self, x):
        return self.expand(self.spatial(self.reduce(x))) + self.skip(x)


def test_a_bottleneck_that_holds_its_shortcut():
    net = nn.Sequential(Bottleneck(16, 16, 1), Bottleneck(16, 32, 2))
    assert select_sites(net, "paper") == ["0.spatial", "1.spatial"]
    assert select_sites(net, {"block": "bottleneck"}) == [
        f"{block}.{name}" for block in (0, 1) for name in ("reduce", "spatial", "expand")
    ]


class Pair(nn.Module):
    """Two 3x3 and no addition of maps, as heads and pyramids have them."""

    def __init__(self):
        super().__init__()
        self.a, self.b = conv(16, 16), conv(16, 16)


class TwoHeads(Pair):
    def forward(self, x):
        return self.a(x), self.b(x)


class Chain(Pair):
    def forward(self, x):
        return self.b(self.a(x) + 1)


class OfLists(Pair):
    def forward(self, features):
        return [self.a(x) for x in features], [self.b(x) for x in features]


@pytest.mark.parametrize("pair", [TwoHeads, Chain, OfLists])
def test_a_pair_without_a_residue_is_no_block(pair):
    assert find_blocks(dict(pair().named_modules())) == []


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (resnet18, 8),
        (resnet50, 16),
        (wide_resnet50_2, 16),
        (lambda: quantizable_resnet18(quantize=False), 8),
        (lambda: timm.create_model("resnet18"), 8),
        (lambda: timm.create_model("resnet50"), 16),
        (lambda: timm.create_model("resnet26d"), 8),
        (lambda: timm.create_model("seresnet50"), 16),
    ],
    ids=["resnet18", "resnet50", "wide", "quantizable", "timm18", "timm50", "timm26d", "timm-se50"],
)
def test_nets_of_the_libraries(make, count):
    with torch.device("meta"):
        net = make()
    assert len(select_sites(net, "paper")) == count


@pytest.mark.parametrize(
    "make", [detection.retinanet_resnet50_fpn, detection.fcos_resnet50_fpn], ids=lambda f: f.__name__
)
def test_of_a_detector_only_the_backbone_has_blocks(make):
    with torch.device("meta"):
        net = make(weights=None, weights_backbone=None)
    sites = select_sites(net, "paper")
    assert len(sites) == 16
    assert all(site.startswith("backbone.body.layer") for site in sites)
