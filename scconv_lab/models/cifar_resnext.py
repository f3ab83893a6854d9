"""ResNeXt for CIFAR (Xie et al., CVPR 2017, section 5.3)."""

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from scconv_lab.errors import UserError
from scconv_lab.models.net import DEEPEST, Net


class CifarResNeXt(Net):
    """ResNeXt-29 and its kin: a stem of 64 channels and three stages of bottlenecks with 256, 512 and 1024.

    Maps (B, 3, H, W) to (B, num_classes), for images from 8 x 8 to about 64 x 64. Blocks, initialisation and state
    dict keys are torchvision's; the 3x3 convolutions are ``groups * width_per_group`` wide, doubled in each next stage.

    The SCConv paper states neither number for its ResNeXt-29. Of all, 8 groups of 56 channels come nearest to its
    Table 2 at 100 classes: 28,270,756 parameters (paper: 28.27M) and 4.427 GMAC at 32 x 32 (paper: 4.55). Its SCConv
    row (22.31M) is not met: ScConv has more parameters than a 3x3 of 8 groups, and in its place makes 36.99M. Xie et
    al. report 8 groups of 64 (34.4M) and 16 groups of 64 (68.1M).

    Args:
        num_classes: Classes to tell apart.
        depth: 9n + 2 convolutional and linear layers, for n bottlenecks a stage: 20, 29, 38, 47, 56.
        groups: Groups of the 3x3 convolutions, the cardinality: 8 in "8x64d".
        width_per_group: Channels a group in the first stage: 64 in "8x64d".

    Raises:
        UserError: (a ValueError) on a depth that is not 9n + 2, or groups or a width below 1.
    """

    def __init__(self, num_classes: int, *, depth: int = 29, groups: int = 8, width_per_group: int = 56):
        super().__init__()
        if not 11 <= depth <= DEEPEST or (depth - 2) % 9:
            raise UserError(
                f"`depth` (={depth}) must be 9n + 2 for n bottlenecks a stage: 20, 29, 38, 47, 56, 1199 at most"
            )
        for name, value in (("groups", groups), ("width_per_group", width_per_group)):
            if value < 1:
                raise UserError(f"`{name}` (={value}) must be at least 1, as in groups=8, width_per_group=64")
        blocks = (depth - 2) // 9
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(64, 64, blocks, stride=1, groups=groups, base_width=width_per_group)
        self.layer2 = _stage(256, 128, blocks, stride=2, groups=groups, base_width=width_per_group)
        self.layer3 = _stage(512, 256, blocks, stride=2, groups=groups, base_width=width_per_group)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to logits (B, num_classes)."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


def _stage(in_channels: int, planes: int, blocks: int, *, stride: int, groups: int, base_width: int) -> nn.Sequential:
    channels = planes * Bottleneck.expansion
    downsample = nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels))
    first = Bottleneck(in_channels, planes, stride, downsample, groups, base_width)
    rest = (Bottleneck(channels, planes, groups=groups, base_width=base_width) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)
