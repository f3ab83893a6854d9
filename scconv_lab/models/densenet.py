"""DenseNet (Huang et al., CVPR 2017): torchvision's, with a stem for CIFAR."""

import torchvision
from torch import nn

from scconv_lab.errors import UserError
from scconv_lab.models.net import Net
from scconv_lab.models.resnet import Stem, require_stem

_BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


class DenseNet(torchvision.models.DenseNet, Net):
    """DenseNet-121, 169 or 201, with a growth rate of 32.

    Maps (B, 3, H, W) to (B, num_classes). torchvision's class, and so its initialisation and its state dict keys.

    Args:
        num_classes: Classes to tell apart.
        depth: 121, 169 or 201 convolutional and linear layers.
        stem: "imagenet" is a 7x7 convolution of stride 2 and a max-pool, for images of about 224 x 224; "cifar" is a
            3x3 convolution of stride 1 without a max-pool, for images of about 32 x 32.

    Raises:
        UserError: (a ValueError) on another depth or stem.
    """

    def __init__(self, num_classes: int, *, depth: int = 121, stem: Stem = "imagenet"):
        if depth not in _BLOCKS:
            raise UserError(f"`depth` (={depth}) must be one of {', '.join(map(str, _BLOCKS))}")
        require_stem(stem)
        super().__init__(block_config=_BLOCKS[depth], num_classes=num_classes)
        if stem == "cifar":
            conv = nn.Conv2d(3, 64, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(conv.weight)
            self.features.conv0 = conv
            self.features.pool0 = nn.Identity()
