"""ResNet (He et al., CVPR 2016) and ResNeXt (Xie et al., CVPR 2017): torchvision's, with a stem for CIFAR."""

from typing import Any, Literal, get_args

import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from scconv_lab.errors import UserError
from scconv_lab.models.net import Net, require_widths

Stem = Literal["imagenet", "cifar"]

_LAYERS: dict[int, tuple[type[BasicBlock | Bottleneck], list[int]]] = {
    18: (BasicBlock, [2, 2, 2, 2]),
    34: (BasicBlock, [3, 4, 6, 3]),
    50: (Bottleneck, [3, 4, 6, 3]),
    101: (Bottleneck, [3, 4, 23, 3]),
    152: (Bottleneck, [3, 8, 36, 3]),
}

TORCHVISION_WIDTHS = (64, 128, 256, 512)


class ResNet(torchvision.models.ResNet, Net):
    """ResNet-18, 34, 50, 101 or 152.

    Maps (B, 3, H, W) to (B, num_classes). torchvision's class, and so its initialisation, its state dict keys and its
    "v1.5" bottleneck, which strides in the 3x3 convolution.

    Args:
        num_classes: Classes to tell apart.
        depth: 18 and 34 have basic blocks (two 3x3 convolutions), 50, 101 and 152 bottlenecks (1x1, 3x3, 1x1).
        stem: "imagenet" is a 7x7 convolution of stride 2 and a max-pool, for images of about 224 x 224; "cifar" is a
            3x3 convolution of stride 1 without a max-pool, for images of about 32 x 32.
        widths: Channels of the 3x3 convolutions in the four stages; the stem has those of the first, a bottleneck puts
            out four times as many.

    Raises:
        UserError: (a ValueError) on another depth or stem, or other than four widths of at least 1.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        depth: int = 50,
        stem: Stem = "imagenet",
        widths: tuple[int, int, int, int] = TORCHVISION_WIDTHS,
    ):
        block, layers = block_and_layers(depth)
        self.widths = require_widths(widths, stages=4)
        super().__init__(block, layers, num_classes=num_classes)
        if self.widths != TORCHVISION_WIDTHS:
            self.conv1 = _init_conv(nn.Conv2d(3, self.widths[0], 7, stride=2, padding=3, bias=False))
            self.bn1 = nn.BatchNorm2d(self.widths[0])
            self.fc = nn.Linear(self.widths[3] * block.expansion, num_classes)
        _set_stem(self, stem)

    def _make_layer(self, block: Any, planes: int, *args: Any, **kwargs: Any) -> nn.Sequential:
        """Build a stage with its own width, where torchvision's constructor asks for 64, 128, 256 or 512 planes."""
        stage = TORCHVISION_WIDTHS.index(planes)
        if stage == 0:
            self.inplanes = self.widths[0]
        return super()._make_layer(block, self.widths[stage], *args, **kwargs)


class ResNeXt(torchvision.models.ResNet, Net):
    """ResNeXt-50 32x4d, ResNeXt-101 32x8d and their kin.

    Maps (B, 3, H, W) to (B, num_classes). torchvision's class, as for `ResNet`; the 3x3 convolution of a bottleneck is
    wider and has ``groups`` groups of ``width_per_group`` channels (in the first stage; twice as many in each next).

    Args:
        num_classes: Classes to tell apart.
        depth: 50, 101 or 152.
        groups: Groups of the 3x3 convolutions, the cardinality: 32 in "32x4d".
        width_per_group: Channels a group in the first stage: 4 in "32x4d"; ResNeXt-101 32x8d has 8.
        stem: "imagenet" or "cifar", as for `ResNet`.

    Raises:
        UserError: (a ValueError) on another depth or stem.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        depth: int = 50,
        groups: int = 32,
        width_per_group: int = 4,
        stem: Stem = "imagenet",
    ):
        block, layers = block_and_layers(depth, (50, 101, 152))
        super().__init__(block, layers, num_classes=num_classes, groups=groups, width_per_group=width_per_group)
        _set_stem(self, stem)


def block_and_layers(
    depth: int, depths: tuple[int, ...] = tuple(_LAYERS)
) -> tuple[type[BasicBlock | Bottleneck], list[int]]:
    """Give the kind of block and the blocks of each stage, or raise UserError on a depth that is not in ``depths``."""
    if depth not in depths:
        raise UserError(f"`depth` (={depth}) must be one of {', '.join(map(str, depths))}")
    return _LAYERS[depth]


def _set_stem(net: torchvision.models.ResNet, stem: Stem) -> None:
    require_stem(stem)
    if stem == "cifar":
        net.conv1 = _init_conv(nn.Conv2d(3, net.conv1.out_channels, 3, padding=1, bias=False))
        net.register_module("maxpool", nn.Identity())


def require_stem(stem: Stem) -> None:
    """Raise UserError unless there is such a stem."""
    if stem not in get_args(Stem):
        raise UserError(f"`stem` (={stem!r}) must be one of {', '.join(map(repr, get_args(Stem)))}")


def _init_conv(conv: nn.Conv2d) -> nn.Conv2d:
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv
