"""The table of a net's layers, by torchinfo."""

import torchinfo
from torch import nn

from scconv_lab.complexity.macs import meta_inputs


def layer_summary(
    net: nn.Module,
    image_shape: tuple[int, int, int],
    *,
    depth: int = 4,
    columns: tuple[str, ...] = ("output_size", "num_params", "mult_adds"),
) -> torchinfo.ModelStatistics:
    """Summarise a net's layers for one image, on a copy on the meta device; ``str()`` of it is the table.

    torchinfo's conventions: "mult-adds" are MACs, and count biases and norms too (see
    `scconv_lab.complexity.compare_counters`); "forward/backward" is twice the bytes of the outputs of all layers that
    have parameters; a megabyte has 1,000,000 bytes.

    Args:
        net: Maps (B, C, H, W) to anything.
        image_shape: C, H and W of an image.
        depth: How many levels of modules inside modules the table shows.
        columns: torchinfo's names of the columns after a layer's name.
    """
    meta_net, images = meta_inputs(net, image_shape)
    return torchinfo.summary(
        meta_net,
        input_data=images,  # given only a size, torchinfo draws random images and advances the generator
        device="meta",
        depth=depth,
        col_names=columns,
        row_settings=("var_names",),
        verbose=0,
    )
