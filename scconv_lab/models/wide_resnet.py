"""Wide residual networks (Zagoruyko and Komodakis, BMVC 2016)."""

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

from torch import Tensor, nn

from scconv_lab.errors import UserError
from scconv_lab.models.net import DEEPEST, Net

StrideIn = Literal["conv1", "conv2"]


class WideResNet(Net):
    """WRN-28-10 and its kin: a stem of 16 channels and three stages of 16, 32 and 64 times ``widen_factor``.

    Maps (B, 3, H, W) to (B, num_classes), for images from 8 x 8 to about 64 x 64. Blocks are pre-activation basic
    blocks, by default as in the authors' code; convolutions start normal by their fan-out, as in torchvision.

    At 100 classes and 32 x 32 it has 36,536,884 parameters and 5.243 GMAC. The SCConv paper's 36.55M and 5.96G
    (Table 2) fit a variant that public code has (meliketoy/wide-resnet.pytorch): ``bias`` (36,546,980 parameters) and
    ``stride_in="conv2"`` (5.951 GMAC, 5.957 with two per element of each batch norm).

    Args:
        num_classes: Classes to tell apart.
        depth: 6n + 4 convolutional layers, for n blocks a stage and three projections: 10, 16, 22, 28, 40.
        widen_factor: How much wider the stages are than 16, 32 and 64 channels.
        dropout: Chance that a value is dropped between the two 3x3 convolutions; from 0 to below 1. The paper's nets
            have none but where it says so, and 0.3 there on CIFAR.
        bias: Whether the convolutions have biases; the authors' have none.
        stride_in: Which 3x3 convolution of a stage's first block strides: "conv1", as in the authors' code, or "conv2".

    Raises:
        UserError: (a ValueError) on a depth that is not 6n + 4, a factor below 1, a dropout out of range, or an unknown
            convolution.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        depth: int = 28,
        widen_factor: int = 10,
        dropout: float = 0.0,
        bias: bool = False,
        stride_in: StrideIn = "conv1",
    ):
        super().__init__()
        if not 10 <= depth <= DEEPEST or (depth - 4) % 6:
            raise UserError(f"`depth` (={depth}) must be 6n + 4 for n blocks a stage: 10, 16, 22, 28, 40, 1198 at most")
        if widen_factor < 1:
            raise UserError(f"`widen_factor` (={widen_factor}) must be at least 1; WRN-28-10 has 10")
        if not 0 <= dropout < 1:
            raise UserError(f"`dropout` (={dropout}) must be at least 0 and below 1")
        if stride_in not in get_args(StrideIn):
            raise UserError(f"`stride_in` (={stride_in!r}) must be one of {', '.join(map(repr, get_args(StrideIn)))}")
        blocks = (depth - 4) // 6
        first, second, third = (width * widen_factor for width in (16, 32, 64))
        block = partial(PreActBlock, dropout=dropout, bias=bias, stride_in=stride_in)
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=bias)
        self.layer1 = _stage(block, 16, first, blocks, stride=1)
        self.layer2 = _stage(block, first, second, blocks, stride=2)
        self.layer3 = _stage(block, second, third, blocks, stride=2)
        self.bn1 = nn.BatchNorm2d(third)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(third, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to logits (B, num_classes)."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(self.avgpool(self.relu(self.bn1(x))).flatten(1))


class PreActBlock(nn.Module):
    """A pre-activation basic block: norm, ReLU, 3x3, norm, ReLU, 3x3, plus the input.

    Where the shape changes, a 1x1 convolution of the first ReLU's output takes the place of the input. It stands in
    ``downsample``, so that the block's own convolutions are only ``conv1`` and ``conv2``.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        stride: Of the block and of the projection.
        dropout: Chance that a value is dropped before ``conv2``.
        bias: Whether the convolutions have biases.
        stride_in: Which convolution strides: "conv1" or "conv2".
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        dropout: float = 0.0,
        bias: bool = False,
        stride_in: StrideIn = "conv1",
    ):
        super().__init__()
        first, second = (stride, 1) if stride_in == "conv1" else (1, stride)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=first, padding=1, bias=bias)
        self.bn2 = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=second, padding=1, bias=bias)
        self.downsample = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride=stride, bias=bias))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, channels, H / stride, W / stride), rounded up."""
        active = self.relu(self.bn1(x))
        shortcut = x if self.downsample is None else self.downsample(active)
        out = self.conv1(active)
        return shortcut + self.conv2(self.dropout(self.relu(self.bn2(out))))


def _stage(
    block: Callable[..., PreActBlock], in_channels: int, channels: int, blocks: int, *, stride: int
) -> nn.Sequential:
    first = block(in_channels, channels, stride=stride)
    return nn.Sequential(first, *(block(channels, channels) for _ in range(blocks - 1)))
