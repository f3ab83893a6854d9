"""Counts multiply-accumulates."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from scconv_lab.meta import meta_copy


def count_macs(net: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Count the multiply-accumulates (MACs) of one image's forward pass; one MAC is two FLOPs.

    torch's ``FlopCounterMode`` on a copy of the net on the meta device, so nothing is computed and the net stays as it
    is. Counted are convolutions and matrix products, as in the paper's "FLOPs", which are MACs. Not counted, because
    no counter sees it: point-wise work, such as all of SRU, normalisation and pooling.

    Args:
        net: Maps (B, C, H, W) to anything.
        image_shape: C, H and W of an image.
    """
    meta_net = meta_copy(net).eval()
    dtype = next((parameter.dtype for parameter in net.parameters()), None)
    images = torch.empty(1, *image_shape, device="meta", dtype=dtype)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        meta_net(images)
    return counter.get_total_flops() // 2
