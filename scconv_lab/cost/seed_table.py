"""`scconv-lab cost --seed-table`: the table that Jacky-Android/ResNet-ScConv prints of its ResNet-34."""

from functools import partial

import torch
import torchinfo

from scconv_lab.complexity import layer_summary
from scconv_lab.cost.layers import print_layers
from scconv_lab.models import ResNet
from scconv_lab.nn import READINGS, ScConv
from scconv_lab.surgery import apply_surgery


def report_seed_table(file_format: str) -> None:
    """Print the layers of that ResNet-34: 4 classes, images of 3 x 512 x 512, ScConv after each second 3x3."""
    print_layers(seed_summary(), file_format)


def seed_summary() -> torchinfo.ModelStatistics:
    """Summarise that net, in the reading "jacky" and on the meta device."""
    with torch.device("meta"):
        net = ResNet(4, depth=34)
        apply_surgery(net, partial(ScConv, **READINGS["jacky"]), action="insert_after")
    return layer_summary(net, (3, 512, 512), columns=("output_size", "num_params"))
