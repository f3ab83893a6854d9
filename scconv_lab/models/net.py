"""What all backbones have in common."""

from torch import nn


class Net(nn.Module):
    """An image classifier.

    The law: ``Net(num_classes, *, ...)`` maps (B, 3, H, W) to logits (B, num_classes). A net is always built plain;
    units reach it by `scconv_lab.surgery` alone.
    """
