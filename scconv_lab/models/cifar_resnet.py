"""The small ResNet for CIFAR (He et al., CVPR 2016, section 4.2)."""

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from scconv_lab.errors import UserError
from scconv_lab.models.net import DEEPEST, Net, require_widths


class CifarResNet(Net):
    """ResNet-8, 20, 32, 44, 56 or 110: three stages, of 16, 32 and 64 channels if nothing else is said.

    Maps (B, 3, H, W) to (B, num_classes), for images from 8 x 8 to about 64 x 64. Differs from He et al. in the
    shortcuts that change shape: 1x1 projections (their option B) in place of padding with zeros (option A), since
    these give the SCConv paper's 0.86M parameters of ResNet-56 (Table 2). Blocks, initialisation and state dict keys
    are torchvision's.

    Args:
        num_classes: Classes to tell apart.
        depth: 6n + 2 convolutional and linear layers, for n blocks a stage: 8, 20, 32, 44, 56, 110.
        widths: Channels of the three stages; the stem has those of the first.

    Raises:
        UserError: (a ValueError) on a depth that is not 6n + 2 or above 1202, or other than three widths of at least 1.
    """

    def __init__(self, num_classes: int, *, depth: int = 20, widths: tuple[int, int, int] = (16, 32, 64)):
        super().__init__()
        blocks = blocks_a_stage(depth)
        first, second, third = self.widths = require_widths(widths, stages=3)
        self.conv1 = nn.Conv2d(3, first, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(first, first, blocks, stride=1)
        self.layer2 = _stage(first, second, blocks, stride=2)
        self.layer3 = _stage(second, third, blocks, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(third, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to logits (B, num_classes)."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


def blocks_a_stage(depth: int) -> int:
    """Give n for a depth of 6n + 2, or raise UserError."""
    if not 8 <= depth <= DEEPEST or (depth - 2) % 6:
        raise UserError(f"`depth` (={depth}) must be 6n + 2 for n blocks a stage: 8, 20, 32, 44, 56, 110, 1202 at most")
    return (depth - 2) // 6


def _stage(in_channels: int, channels: int, blocks: int, *, stride: int) -> nn.Sequential:
    downsample = None
    if stride != 1 or in_channels != channels:
        downsample = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
        )
    first = BasicBlock(in_channels, channels, stride, downsample)
    return nn.Sequential(first, *(BasicBlock(channels, channels) for _ in range(blocks - 1)))
