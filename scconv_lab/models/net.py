"""What all backbones have in common."""

from collections.abc import Sequence

from torch import nn

from scconv_lab.errors import UserError

DEEPEST = 1202
"""Layers of the deepest net of He et al. (CVPR 2016); a slip of the keyboard beyond it would build for hours."""


class Net(nn.Module):
    """An image classifier.

    The law: ``Net(num_classes, *, ...)`` maps (B, 3, H, W) to logits (B, num_classes). A net is always built plain;
    only `scconv_lab.surgery` puts units into it.
    """


def require_widths(widths: Sequence[int], *, stages: int) -> tuple[int, ...]:
    """Give the channels of the stages as a tuple, or raise UserError unless there is one number a stage, at least 1."""
    if len(widths) != stages or any(width < 1 for width in widths):
        raise UserError(f"`widths` (={tuple(widths)}) must be {stages} numbers of channels, each at least 1")
    return tuple(widths)
