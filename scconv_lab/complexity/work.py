"""Counts what no counter of MACs sees: point-wise operations, normalisation, reductions, and bytes moved."""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from scconv_lab.complexity.macs import meta_inputs

_NORMS = ("norm", "std_mean", "var_mean")
_COPIES = ("clone", "copy")
_REDUCTIONS = ("mean", "sum", "softmax", "pool", "amax", "amin")


Shape = tuple[int, int, int]
"""C, H and W."""


@dataclass(frozen=True)
class Work:
    """Work that is no MAC, in one forward pass of eager operators, none of them fused.

    Attributes:
        pointwise: Point-wise operations (add, multiply, compare, select, sigmoid, ...): one an element of an output.
        normalisation: Elements that norms read; how many operations one costs is the norm's affair.
        reductions: Elements that means, sums, softmaxes and pools read.
        bytes_moved: Bytes that all operators, convolutions and copies included, read and write. A view moves nothing,
            and neither does a scalar.
    """

    pointwise: int = 0
    normalisation: int = 0
    reductions: int = 0
    bytes_moved: int = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __mul__(self, times: int) -> "Work":
        return Work(*(times * value for value in astuple(self)))

    __rmul__ = __mul__


def count_work(net: nn.Module, image_shape: tuple[int, int, int]) -> Work:
    """Count the work of one image's forward pass by looking at every tensor that an operator reads or writes.

    On a copy of the net on the meta device, so nothing is computed.

    Args:
        net: Maps (B, C, H, W) to anything.
        image_shape: C, H and W of an image.
    """
    meta_net, images = meta_inputs(net, image_shape)
    with torch.no_grad(), WorkCounter() as counter:
        meta_net(images)
    return counter.work


class WorkCounter(TorchDispatchMode):
    """Adds up, while it is entered, the `work` of every operator that runs."""

    def __init__(self):
        super().__init__()
        self.work = Work()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        read, written = _tensors((args, kwargs)), _tensors(result)
        if read and not func.is_view:
            self.work += _work_of(func, read, written)
        return result


def _work_of(func: Any, read: Sequence[Tensor], written: Sequence[Tensor]) -> Work:
    name = func.overloadpacket.__name__
    moved = sum(tensor.nbytes for tensor in (*read, *written))
    if any(part in name for part in _COPIES):
        return Work(bytes_moved=moved)
    if torch.Tag.pointwise in func.tags:
        return Work(pointwise=written[0].numel(), bytes_moved=moved)
    if any(part in name for part in _NORMS):
        return Work(normalisation=read[0].numel(), bytes_moved=moved)
    if any(part in name for part in _REDUCTIONS):
        return Work(reductions=read[0].numel(), bytes_moved=moved)
    return Work(bytes_moved=moved)


def _tensors(values: Any) -> list[Tensor]:
    """The tensors among nested values, scalars excluded."""
    return [value for value in tree_leaves(values) if isinstance(value, Tensor) and value.dim()]


def least_bytes(unit: nn.Module, input_shape: Shape, output_shape: Shape) -> int:
    """Bytes that any implementation in fp32 has to move: input and parameters read once, output written once."""
    parameters = sum(parameter.numel() for parameter in unit.parameters())
    return 4 * (math.prod(input_shape) + math.prod(output_shape) + parameters)
