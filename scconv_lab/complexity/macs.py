"""Counts multiply-accumulates."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from scconv_lab.meta import meta_copy


def count_macs(net: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Count the multiply-accumulates (MACs) of one image's forward pass; one MAC is two FLOPs.

    torch's ``FlopCounterMode`` on a copy of the net on the meta device, so nothing is computed and the net stays as it
    is. Counted are convolutions and matrix products, as in the paper's "FLOPs", which are MACs. Not counted, because
    no counter sees it: point-wise work, such as all of SRU, normalisation and pooling; see
    `scconv_lab.complexity.count_work`.

    Args:
        net: Maps (B, C, H, W) to anything.
        image_shape: C, H and W of an image.
    """
    meta_net, images = meta_inputs(net, image_shape)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        meta_net(images)
    return counter.get_total_flops() // 2


def meta_inputs(net: nn.Module, image_shape: tuple[int, int, int]) -> tuple[nn.Module, Tensor]:
    """Copy a net onto the meta device, in evaluation mode, and make one image (1, C, H, W) for it."""
    dtype = next((parameter.dtype for parameter in net.parameters()), None)
    return meta_copy(net).eval(), torch.empty(1, *image_shape, device="meta", dtype=dtype)
