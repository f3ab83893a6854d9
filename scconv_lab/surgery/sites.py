"""Chooses the convolutions of a net that surgery works on."""

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from scconv_lab.errors import UserError

PAPER = "paper"
"""The paper's sites: the middle 3x3 of every bottleneck, the second 3x3 of every basic block."""

_BOTTLENECK = [1, 3, 1]
_BASIC_BLOCK = [3, 3]


def select_sites(net: nn.Module, sites: str | Sequence[str]) -> list[str]:
    """Name the convolutions that ``sites`` selects, in the order of the net.

    Args:
        net: Any net; its ``nn.Conv2d`` are the candidates.
        sites: "paper", or a glob over the qualified names of the convolutions ("layer[34].*.conv2"), or a list of
            these, of which each convolution has to match one.

    Returns:
        Qualified names such as "layer1.0.conv2".

    Raises:
        UserError: (a ValueError) if one of ``sites`` matches no convolution; the message lists near misses.
    """
    modules = list(net.named_modules(remove_duplicate=False))  # a shared convolution goes by each of its names
    convs = [name for name, module in modules if name and isinstance(module, nn.Conv2d)]
    chosen: set[str] = set()
    for pattern in [sites] if isinstance(sites, str) else sites:
        matches = _paper_sites(net) if pattern == PAPER else [name for name in convs if fnmatchcase(name, pattern)]
        if not matches:
            raise UserError(_no_match(net, pattern, convs))
        chosen.update(matches)
    if not chosen:
        raise UserError("`sites` is an empty list; name at least one site, or leave the surgery out")
    return [name for name in convs if name in chosen]


def _paper_sites(net: nn.Module) -> list[str]:
    """Find blocks by what they hold, so that one rule fits torchvision's, timm's and anyone's ResNets.

    A bottleneck is a module whose own convolutions are 1x1, 3x3, 1x1 wide; a basic block's are 3x3, 3x3. A plain
    ``nn.Sequential`` of convolutions, such as a deep stem, is neither.
    """
    sites = []
    for block_name, block in net.named_modules(remove_duplicate=False):
        if isinstance(block, nn.Sequential):
            continue
        own = [(name, conv.kernel_size) for name, conv in block.named_children() if isinstance(conv, nn.Conv2d)]
        widths = [width if width == height else None for _, (height, width) in own]
        if widths in (_BOTTLENECK, _BASIC_BLOCK):
            sites.append(f"{block_name}.{own[1][0]}".removeprefix("."))
    return sites


def _no_match(net: nn.Module, pattern: str, convs: list[str]) -> str:
    if not convs:
        return f"`sites` (={pattern!r}): {type(net).__name__} has no nn.Conv2d to work on"
    if pattern == PAPER:
        return (
            f"`sites` (={pattern!r}): {type(net).__name__} has no block with convolutions of 1x1, 3x3, 1x1 or of 3x3, "
            f"3x3; name its convolutions by a glob, for example one of {', '.join(convs[:5])}"
        )
    near = difflib.get_close_matches(pattern, [PAPER, *convs], n=5, cutoff=0.3) or [PAPER, *convs[:4]]
    return (
        f"`sites` (={pattern!r}) matches none of the {len(convs)} convolutions of {type(net).__name__}; "
        f"near misses: {', '.join(near)}"
    )
