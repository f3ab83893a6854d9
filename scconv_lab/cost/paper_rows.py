"""The rows of the paper's Tables 1 to 3 (Li, Wen, He, CVPR 2023, section 4), and the nets that they are taken to be."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from scconv_lab.models import CifarResNet, CifarResNeXt, DenseNet, ResNet, WideResNet
from scconv_lab.nn import CRU, SRU, ScConv
from scconv_lab.surgery import apply_surgery


@dataclass(frozen=True)
class Arm:
    """A net and what surgery does to it.

    Attributes:
        net: Makes the plain net.
        unit: Makes a unit for a number of channels; None leaves the net plain.
        placement: Arguments of `scconv_lab.surgery.apply_surgery`.
    """

    net: Callable[[], nn.Module]
    unit: Callable[..., nn.Module] | None = None
    placement: dict[str, Any] = field(default_factory=dict)

    def build(self) -> nn.Module:
        """The net on the meta device, without values."""
        with torch.device("meta"):
            net = self.net()
            if self.unit is not None:
                apply_surgery(net, self.unit, **self.placement)
        return net


@dataclass(frozen=True)
class Row:
    """A line of a table: the paper's numbers, and what is built for it.

    Attributes:
        table: 1, 2 or 3.
        name: The net and its arm.
        arm: What is built: the paper's words, and this lab's defaults where it says nothing.
        params: The paper's parameters, in millions.
        macs: The paper's "FLOPs", which are MACs, in millions.
        image_size: Height and width that the MACs are counted for.
        notes: Keys of `NOTES`: what deviations come from.
        another: The name of another choice, and what is built for it: the nearest to the paper's numbers, if the notes
            say nothing else.
    """

    table: int
    name: str
    arm: Arm
    params: float
    macs: float
    image_size: int = 32
    notes: str = ""
    another: tuple[str, Arm] | None = None


TITLES = {
    1: "Table 1: ResNet-50, CIFAR-100",
    2: "Table 2: CIFAR; ResNets with 10 classes, the others with 100, which is what fits",
    3: "Table 3: ImageNet",
}

NOTES = {
    "a": "Where a unit takes the stride of the convolution that it replaces is not said. The lab puts an average pool "
    "before it; nearest comes a stride in CRU's group-wise and upper point-wise convolution (stride_policy: unit, "
    "stride_in: gwc).",
    "b": "The ResNet-50 rows contradict each other: their params ask for units of {implied} C^2 weights in Tables 1, 2 "
    "and 3, where equation 11 has 1.81 C^2. No one unit meets them all.",
    "c": "Which of a block's two 3x3 convolutions is replaced is not said. The lab takes the second, nearer in params; "
    "the first is nearer in MACs.",
    "d": "Cardinality and width are not said. 8 groups of 56 channels meet the params, and of all that do come nearest "
    "in MACs.",
    "e": "ScConv with r = g = 2 has 1.81 C^2 weights, more than the 3x3 of 8 groups that it replaces (1.125 C^2). The "
    "paper's params ask for units of {implied_resnext} C^2; r = g = 4 comes nearest.",
    "f": "With biases in the convolutions and the stride in a block's second 3x3 (configs/net/wrn28_10_paper.yaml); "
    "Zagoruyko and Komodakis' own WRN-28-10 has neither.",
    "g": "SRU adds its own 2 C parameters; why the paper's net with it has fewer than its plain net is not said.",
}

_R50 = partial(ResNet, depth=50, stem="cifar")
_R56 = partial(CifarResNet, 10, depth=56)
_RESNEXT = partial(CifarResNeXt, 100)
_WRN = partial(WideResNet, 100, bias=True, stride_in="conv2")
_DENSENET = partial(DenseNet, 100, stem="cifar")
_IN50, _IN101 = (partial(ResNet, 1000, depth=depth) for depth in (50, 101))


def _stride_in_gwc(net: Callable[[], nn.Module], unit: Callable[..., nn.Module] = ScConv) -> tuple[str, Arm]:
    return "stride in the unit", Arm(net, partial(unit, stride_in="gwc"), {"stride_policy": "unit"})


_R50_100, _R50_10 = partial(_R50, 100), partial(_R50, 10)
_PARALLEL, _CRU_SRU = partial(ScConv, order="parallel"), partial(ScConv, order="cru_sru")
_ALPHA_3_4 = partial(ScConv, alpha=0.75)

ROWS = (
    Row(1, "plain", Arm(_R50_100), 23.71, 1300),
    Row(1, "S", Arm(_R50_100, SRU, {"action": "insert_after"}), 23.53, 1300, notes="g"),
    Row(1, "C", Arm(_R50_100, CRU), 14.74, 843.81, notes="a", another=_stride_in_gwc(_R50_100, CRU)),
    Row(1, "C&S", Arm(_R50_100, _PARALLEL), 14.74, 843.81, notes="a", another=_stride_in_gwc(_R50_100, _PARALLEL)),
    Row(1, "C+S", Arm(_R50_100, _CRU_SRU), 14.74, 843.81, notes="a", another=_stride_in_gwc(_R50_100, _CRU_SRU)),
    Row(1, "S+C", Arm(_R50_100, ScConv), 14.74, 843.81, notes="ab", another=_stride_in_gwc(_R50_100)),
    Row(2, "ResNet-56", Arm(_R56), 0.86, 126.84),
    Row(
        2,
        "ResNet-56 SCConv",
        Arm(_R56, ScConv),
        0.52,
        79.55,
        notes="c",
        another=("in the first 3x3", Arm(_R56, ScConv, {"sites": "layer*.conv1"})),
    ),
    Row(2, "ResNet-50", Arm(_R50_10), 23.52, 1300),
    Row(2, "ResNet-50 SCConv", Arm(_R50_10, ScConv), 14.69, 831.18, notes="ab", another=_stride_in_gwc(_R50_10)),
    Row(2, "ResNeXt-29", Arm(_RESNEXT), 28.27, 4550, notes="d"),
    Row(
        2,
        "ResNeXt-29 SCConv",
        Arm(_RESNEXT, ScConv),
        22.31,
        3570,
        notes="e",
        another=("r = g = 4", Arm(_RESNEXT, partial(ScConv, squeeze_ratio=4, groups=4))),
    ),
    Row(2, "WRN-28-10", Arm(_WRN), 36.55, 5960, notes="f", another=("as its authors", Arm(partial(WideResNet, 100)))),
    Row(2, "WRN-28-10 SCConv", Arm(_WRN, ScConv), 21.12, 3750, notes="a", another=_stride_in_gwc(_WRN)),
    Row(2, "DenseNet-121", Arm(_DENSENET), 7.05, 898.23),
    Row(2, "DenseNet-121 SCConv", Arm(_DENSENET, ScConv), 5.45, 594.34),
    Row(3, "ResNet-50", Arm(_IN50), 25.56, 4090, 224),
    Row(3, "ResNet-50 alpha 1/2", Arm(_IN50, ScConv), 16.78, 2700, 224, "ab", _stride_in_gwc(_IN50)),
    Row(3, "ResNet-50 alpha 3/4", Arm(_IN50, _ALPHA_3_4), 17.69, 2870, 224, "ab", _stride_in_gwc(_IN50, _ALPHA_3_4)),
    Row(3, "ResNet-101", Arm(_IN101), 44.55, 7830, 224),
    Row(3, "ResNet-101 SCConv", Arm(_IN101, ScConv), 28.00, 4900, 224, "ab", _stride_in_gwc(_IN101)),
)
