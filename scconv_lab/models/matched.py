"""Plain ResNets as small as asked: the control for whatever makes a net smaller."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from torchvision.models.resnet import Bottleneck

from scconv_lab.errors import UserError
from scconv_lab.models.cifar_resnet import CifarResNet, blocks_a_stage
from scconv_lab.models.resnet import TORCHVISION_WIDTHS, ResNet, Stem, block_and_layers, require_stem
from scconv_lab.models.width_search import Widths, nearest_widths

TOLERANCE = 0.01
"""The share of a budget by which a matched net may miss it."""


_MOST = 10**15  # parameters or MACs


class MatchedCifarResNet(CifarResNet):
    """A plain `CifarResNet` whose stages are narrowed or widened until it meets a budget, to within 1 %.

    Of the nets with stages in about the ratio 1 : 2 : 4, the nearest to the budget; within 0.1 % of it, the nearest to
    that ratio. ``net.widths`` holds what was found, and ``print(net)`` opens with it. Widths are any whole numbers:
    units such as ScConv, which need a number of channels that divides, do not fit a matched net.

    Args:
        num_classes: Classes to tell apart.
        depth: 6n + 2, as for `CifarResNet`.
        params: Parameters to have, as `scconv_lab.complexity.count_params` counts; give this or ``macs``.
        macs: Multiply-accumulates an image to have, as `scconv_lab.complexity.count_macs` counts.
        image_size: Height and width in pixels of the image whose ``macs`` are counted.

    Raises:
        UserError: (a ValueError) on both or neither budget, another depth, or a budget that no widths meet.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        depth: int = 20,
        params: int | None = None,
        macs: int | None = None,
        image_size: int = 32,
    ):
        geometry = Geometry(False, (blocks_a_stage(depth),) * 3, "cifar", num_classes)
        first, second, third = _match(geometry, (16, 32, 64), f"ResNet-{depth}", params, macs, image_size)
        super().__init__(num_classes, depth=depth, widths=(first, second, third))

    def extra_repr(self) -> str:
        """Show the widths that were found."""
        return f"widths={self.widths}"


class MatchedResNet(ResNet):
    """A plain `ResNet` whose stages are narrowed or widened until it meets a budget, to within 1 %.

    As `MatchedCifarResNet`, with four stages in about the ratio 1 : 2 : 4 : 8.

    Args:
        num_classes: Classes to tell apart.
        depth: 18, 34, 50, 101 or 152, as for `ResNet`.
        stem: "imagenet" or "cifar", as for `ResNet`.
        params: Parameters to have, as `scconv_lab.complexity.count_params` counts; give this or ``macs``.
        macs: Multiply-accumulates an image to have, as `scconv_lab.complexity.count_macs` counts.
        image_size: Height and width in pixels of the image whose ``macs`` are counted.

    Raises:
        UserError: (a ValueError) on both or neither budget, another depth or stem, or a budget that no widths meet.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        depth: int = 50,
        stem: Stem = "imagenet",
        params: int | None = None,
        macs: int | None = None,
        image_size: int = 224,
    ):
        block, layers = block_and_layers(depth)
        require_stem(stem)
        geometry = Geometry(block is Bottleneck, tuple(layers), stem, num_classes)
        widths = _match(geometry, TORCHVISION_WIDTHS, f"ResNet-{depth}", params, macs, image_size)
        first, second, third, fourth = widths
        super().__init__(num_classes, depth=depth, stem=stem, widths=(first, second, third, fourth))

    def extra_repr(self) -> str:
        """Show the widths that were found."""
        return f"widths={self.widths}"


@dataclass(frozen=True)
class Geometry:
    """All that the cost of a ResNet depends on besides its widths: what a search counts thousands of times.

    Args:
        bottleneck: Blocks of 1x1, 3x3, 1x1 convolutions, not of 3x3, 3x3.
        blocks: Blocks of each stage.
        stem: "imagenet" or "cifar".
        num_classes: Outputs of the linear layer.
    """

    bottleneck: bool
    blocks: tuple[int, ...]
    stem: Stem
    num_classes: int

    def params(self, widths: Widths) -> int:
        """Count parameters: of convolutions, of norms (two for each output of a convolution), of the classifier."""
        convs = sum(taps * ins * outs + 2 * outs for taps, ins, outs, _ in self._convs(widths, 1))
        return convs + (self._features(widths) + 1) * self.num_classes

    def macs(self, widths: Widths, image_size: int) -> int:
        """Count multiply-accumulates of one image, of convolutions and the classifier."""
        convs = sum(taps * ins * outs * side * side for taps, ins, outs, side in self._convs(widths, image_size))
        return convs + self._features(widths) * self.num_classes

    def _features(self, widths: Widths) -> int:
        return widths[-1] * (4 if self.bottleneck else 1)

    def _convs(self, widths: Widths, side: int) -> Iterator[tuple[int, int, int, int]]:
        """Each convolution's taps, channels in and out, and the side of its output."""
        if self.stem == "imagenet":
            side = _halved(side)
            yield 49, 3, widths[0], side
            side = _halved(side)
        else:
            yield 9, 3, widths[0], side
        ins = widths[0]
        for stage, (width, blocks) in enumerate(zip(widths, self.blocks, strict=True)):
            outs = width * (4 if self.bottleneck else 1)
            for block in range(blocks):
                before, side = side, _halved(side) if stage and not block else side
                if self.bottleneck:
                    yield 1, ins, width, before
                    yield 9, width, width, side
                    yield 1, width, outs, side
                else:
                    yield 9, ins, outs, side
                    yield 9, outs, outs, side
                if not block and (stage or ins != outs):
                    yield 1, ins, outs, side
                ins = outs


def _halved(side: int) -> int:
    """The side of the map after a padded convolution or pool of stride 2."""
    return (side + 1) // 2


def _match(
    geometry: Geometry, base: Widths, name: str, params: int | None, macs: int | None, image_size: int
) -> Widths:
    if (params is None) == (macs is None):
        raise UserError(f"give `params` (={params}) or `macs` (={macs}), exactly one of them, as the budget to meet")
    if image_size < 1:
        raise UserError(f"`image_size` (={image_size}) must be at least 1 pixel")
    key, budget = ("params", params) if macs is None else ("macs", macs)
    assert budget is not None
    if budget > _MOST:
        raise UserError(f"`{key}` must be at most {_MOST:.0e}: no net is so large")
    widths, found = _search(geometry, base, key, budget, image_size)
    if abs(found - budget) > TOLERANCE * budget:
        raise UserError(
            f"`{key}` (={budget:,}) is met by no widths of {name} with {geometry.num_classes} classes to within "
            f"{TOLERANCE:.0%}: the nearest, {widths}, have {found:,}; ask for that, or take another `depth`"
        )
    return widths


@lru_cache(maxsize=64)
def _search(geometry: Geometry, base: Widths, key: str, budget: int, image_size: int) -> tuple[Widths, int]:
    def cost(widths: Widths) -> int:
        return geometry.params(widths) if key == "params" else geometry.macs(widths, image_size)

    widths = nearest_widths(cost, base, budget)
    return widths, cost(widths)
