"""Lets two counters of MACs check each other."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchinfo.layer_info import LayerInfo

from scconv_lab.complexity.layers import layer_summary
from scconv_lab.complexity.macs import meta_inputs
from scconv_lab.complexity.params import CONVOLUTIONS
from scconv_lab.nn import Unit
from scconv_lab.surgery.norms import is_norm

CONVOLUTION, LINEAR, PRODUCTS, BIASES, NORMS = "convolution", "linear", "other products", "biases", "norms"

_OPERATORS = {"convolution": CONVOLUTION, "_convolution": CONVOLUTION, "addmm": LINEAR, "mm": LINEAR}

_WHY = {
    CONVOLUTION: "they should agree; please report this net",
    LINEAR: "torchinfo counts a linear layer once an image, at however many positions it works",
    PRODUCTS: "torchinfo looks at layers, and these products are in none",
    BIASES: "torchinfo counts one for each value that a bias is added to",
    NORMS: "torchinfo counts gamma and beta once an image, however large the map",
}


@dataclass(frozen=True)
class OperatorCount:
    """MACs of one kind of operator in one image's forward pass, by two counters.

    Attributes:
        operator: "convolution", "linear", "other products", "biases", "norms", or the class of a layer that has
            parameters of its own.
        flop_counter: By torch's FlopCounterMode, which watches the operators that run.
        torchinfo: By torchinfo, which multiplies a layer's parameters by the size of its output.
        why: Why the two differ; empty where they agree.
    """

    operator: str
    flop_counter: int
    torchinfo: int
    why: str


def compare_counters(net: nn.Module, image_shape: tuple[int, int, int]) -> list[OperatorCount]:
    """Count a net's MACs by torch's FlopCounterMode and by torchinfo, operator by operator.

    On a copy on the meta device, so nothing is computed. The two work apart from each other, and agree on convolutions
    to the last MAC. Neither sees point-wise work, such as all of SRU but its gamma and beta: see
    `scconv_lab.complexity.count_work`.

    Args:
        net: Maps (B, C, H, W) to anything.
        image_shape: C, H and W of an image.

    Returns:
        A row an operator that either counts.
    """
    seen = _by_flop_counter(net, image_shape)
    listed: dict[str, int] = {}
    for layer in layer_summary(net, image_shape).summary_list:
        if layer.is_leaf_layer and layer.macs:
            for operator, macs in _parted(layer).items():
                listed[operator] = listed.get(operator, 0) + macs
    first = [CONVOLUTION, LINEAR, PRODUCTS, BIASES, NORMS]
    rows = []
    for operator in sorted(
        seen.keys() | listed.keys(), key=lambda name: (name not in first, (*first, name).index(name))
    ):
        counts = seen.get(operator, 0), listed.get(operator, 0)
        why = _WHY.get(operator, "torchinfo counts its own parameters once an image")
        if any(counts):
            rows.append(OperatorCount(operator, *counts, why if counts[0] != counts[1] else ""))
    return rows


def _by_flop_counter(net: nn.Module, image_shape: tuple[int, int, int]) -> dict[str, int]:
    meta_net, images = meta_inputs(net, image_shape)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        meta_net(images)
    counts: dict[str, int] = {}
    for operator, flops in counter.get_flop_counts().get("Global", {}).items():
        name = _OPERATORS.get(operator.__name__, PRODUCTS)
        counts[name] = counts.get(name, 0) + flops // 2
    return counts


def _parted(layer: LayerInfo) -> dict[str, int]:
    """A layer's count, that of its bias apart."""
    module = layer.module
    if isinstance(module, (*CONVOLUTIONS, nn.Linear)):
        batch, *sizes = layer.output_size
        positions = torch.Size(sizes[1:]).numel() if isinstance(module, CONVOLUTIONS) else 1
        bias = 0 if module.bias is None else batch * positions * module.bias.numel()
        return {CONVOLUTION if isinstance(module, CONVOLUTIONS) else LINEAR: layer.macs - bias, BIASES: bias}
    if is_norm(module) and not isinstance(module, Unit):
        return {NORMS: layer.macs}
    return {type(module).__name__: layer.macs}
