"""Copies of modules that hold shapes and no values."""

import copy
from typing import Any

from torch import Tensor, nn


def meta_copy(module: nn.Module) -> Any:
    """Copy a module onto the meta device without copying a value; takes tensors that deepcopy refuses (pruned ones)."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False), *vars(part).values()):
            if isinstance(tensor, nn.Parameter):
                memo[id(tensor)] = nn.Parameter(tensor.detach().to("meta"), requires_grad=tensor.requires_grad)
            elif isinstance(tensor, Tensor):
                memo[id(tensor)] = tensor.detach().to("meta")
    return copy.deepcopy(module, memo)


def without_hooks(module: Any) -> Any:
    """Take a module's hooks off, so that running a copy of a net calls none of the net's own; return it."""
    for part in module.modules():
        part._forward_hooks.clear()
        part._backward_hooks.clear()
        part._backward_pre_hooks.clear()
    return module
