"""Finds the paper's sites: residual blocks are known by what they add, dense layers and the rest by what they hold."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from scconv_lab.meta import meta_copy, without_hooks

BLOCK_KINDS = {"bottleneck": [1, 3, 1], "basic": [3, 3], "dense": [1, 3]}
"""Widths of the convolutions on the way through a block. The paper's site is the second of them in each kind."""

_ADD = {torch.ops.aten.add.Tensor, torch.ops.aten.add_.Tensor}
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_MOST_CONVS = 8
_SIZE = (17, 18)


@dataclass(frozen=True)
class Block:
    """A block of one of `BLOCK_KINDS`.

    Args:
        kind: Which.
        convs: Names of the convolutions on the way through it, in the order in which they run; a shortcut's are none.
    """

    kind: str
    convs: tuple[str, ...]

    @property
    def site(self) -> str:
        """The paper's."""
        return self.convs[1]


def find_blocks(modules: Mapping[str, nn.Module]) -> list[Block]:
    """Find the blocks among the modules of a net, by their qualified names.

    A module of a few convolutions is run by itself on tensors without values. Where it adds two maps, what one has gone
    through and the other has not is the way through a block; the other may have gone through one convolution, the
    shortcut's. So it does not matter how a block is written. One that cannot be run by itself, as its forward takes
    more than a map, is known by the widths of its own convolutions, and a basic block by an addition in its source too.
    """
    found: dict[tuple[str, ...], Block] = {}
    for name, module in modules.items():
        for block in _blocks_of(module):
            prefix = f"{name}." if name else ""
            named = Block(block.kind, tuple(f"{prefix}{conv}" for conv in block.convs))
            found.setdefault(named.convs, named)
    return list(found.values())


def _blocks_of(module: nn.Module) -> list[Block]:
    if isinstance(module, (*_CONTAINERS, nn.Conv2d)):
        return []
    by_widths = _by_widths(module)
    convs = {name: part for name, part in module.named_modules() if isinstance(part, nn.Conv2d)}
    if not 2 <= len(convs) <= _MOST_CONVS or any(map(nn.parameter.is_lazy, module.parameters())):
        return []
    additions = _additions(module, convs)
    if additions is None:  # it does not run by itself
        return [block for block in by_widths if _is_plausible(block, module)]
    added = [block for one, other in additions for block in _through(one, other, convs)]
    exact = sum(isinstance(child, nn.Conv2d) for child in module.children())
    return added or [block for block in by_widths if block.kind != "basic" and len(block.convs) == exact]


def _by_widths(module: nn.Module) -> list[Block]:
    """The block that a module's own convolutions make up by their widths, one of them set aside as the shortcut's."""
    own = {name: part for name, part in module.named_children() if isinstance(part, nn.Conv2d)}
    for ways in (own, *_without_shortcut(own)):
        widths = [_width(conv) for conv in ways.values()]
        for kind, expected in BLOCK_KINDS.items():
            if widths == expected:
                return [Block(kind, tuple(ways))]
    return []


def _without_shortcut(own: Mapping[str, nn.Conv2d]) -> Iterator[dict[str, nn.Conv2d]]:
    for name, shortcut in own.items():
        rest = {other: conv for other, conv in own.items() if other != name}
        if len(rest) > 1 and _width(shortcut) == 1:
            first, *_, last = rest.values()
            if (shortcut.in_channels, shortcut.out_channels) == (first.in_channels, last.out_channels):
                yield rest


def _through(one: tuple[str, ...], other: tuple[str, ...], convs: Mapping[str, nn.Conv2d]) -> list[Block]:
    """The block whose end an addition is, from the convolutions that either map has gone through."""
    way = tuple(name for name in one if name not in other)
    shortcut = tuple(name for name in other if name not in one)
    if len(way) < len(shortcut):
        way, shortcut = shortcut, way
    widths = [_width(convs[name]) for name in way]
    kinds = [kind for kind in ("bottleneck", "basic") if widths == BLOCK_KINDS[kind]]
    return [Block(kind, way) for kind in kinds if len(shortcut) <= 1]


def _width(conv: nn.Conv2d) -> int | None:
    height, width = conv.kernel_size
    return width if width == height else None


def _additions(
    module: nn.Module, convs: Mapping[str, nn.Conv2d]
) -> list[tuple[tuple[str, ...], tuple[str, ...]]] | None:
    """What the two maps of each addition have gone through; None where the module does not run on a single map."""
    for channels in dict.fromkeys(conv.in_channels for conv in convs.values()):
        found = _additions_on(module, convs, channels)
        if found is not None:
            return found
    return None


def _additions_on(
    module: nn.Module, convs: Mapping[str, nn.Conv2d], channels: int
) -> list[tuple[tuple[str, ...], tuple[str, ...]]] | None:
    dtype = next(iter(convs.values())).weight.dtype
    try:
        copied = without_hooks(meta_copy(module)).eval()
        history = _History()
        for name in convs:
            copied.get_submodule(name).register_forward_hook(history.hook(name))
        with history, torch.no_grad():
            copied(torch.empty(2, channels, *_SIZE, device="meta", dtype=dtype))
    except Exception:  # the forward of anybody's module on what it may not be made for
        return None
    return history.additions


class _History(TorchDispatchMode):
    """Keeps of each tensor which convolutions it has gone through, and notes what is added."""

    def __init__(self) -> None:
        super().__init__()
        self.additions: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self._of: dict[int, tuple[str, ...]] = {}
        self._kept: list[Tensor] = []  # so that no id is given twice

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if func in _ADD and len(before) == 2 and before[0].shape == before[1].shape and before[0].ndim == 4:
            self.additions.append((self._read(before[0]), self._read(before[1])))
        made = func(*args, **(kwargs or {}))
        gone_through = tuple(dict.fromkeys(name for tensor in before for name in self._read(tensor)))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor):
                self._write(leaf, gone_through)
        return made

    def hook(self, name: str) -> Any:
        """A forward hook that notes a convolution; one of a map of 1 x 1 weighs channels, and is on no way."""

        def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, Tensor) and output.shape[2:].numel() > 1:
                self._write(output, (*self._read(output), name))

        return note

    def _read(self, tensor: Tensor) -> tuple[str, ...]:
        return self._of.get(id(tensor), ())

    def _write(self, tensor: Tensor, gone_through: tuple[str, ...]) -> None:
        self._kept.append(tensor)
        self._of[id(tensor)] = gone_through


def _is_plausible(block: Block, module: nn.Module) -> bool:
    """Whether a module that does not run by itself may be a block all the same."""
    if type(module).forward is nn.Module.forward:  # nothing is known but what it holds
        return len(block.convs) == sum(isinstance(child, nn.Conv2d) for child in module.children())
    own = [child for child in module.children() if isinstance(child, nn.Conv2d)]
    return _source_adds(module) or (block.kind != "basic" and len(own) == len(block.convs))


def _source_adds(module: nn.Module) -> bool:
    """Whether a module's forward has an addition in its source; true where there is no source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(type(module).forward)))
    except (OSError, TypeError, SyntaxError):
        return True
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Add):
            return True
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("add", "add_"):
            return True
    return False
