"""All that is counted of a net, in one place."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from scconv_lab.complexity.counters import OperatorCount, compare_counters
from scconv_lab.complexity.macs import meta_inputs
from scconv_lab.complexity.params import count_params, count_trainable, params_by_part
from scconv_lab.complexity.work import Shape, Work, WorkCounter, count_work, least_bytes
from scconv_lab.nn import Unit
from scconv_lab.surgery import named_sites


@dataclass(frozen=True)
class UnitCost:
    """What all units of one kind in a net cost together, for one fp32 image.

    Attributes:
        unit: The class of the unit; of a unit inside another one also its name there, as in "ScConv.sru".
        count: How many there are.
        params: Their parameters.
        macs: Their multiply-accumulates.
        work: Their point-wise and other work.
        least_bytes: Bytes that any implementation has to move: inputs and parameters read, outputs written, once.
    """

    unit: str
    count: int
    params: int
    macs: int
    work: Work
    least_bytes: int

    def figures(self) -> dict[str, int]:
        """Every figure by its name."""
        counts = {"count": self.count, "params": self.params, "macs": self.macs}
        return {**counts, **asdict(self.work), "least_bytes": self.least_bytes}


@dataclass(frozen=True)
class Cost:
    """What a net costs by counting: the same on every machine, and always of the reference implementation.

    Attributes:
        image_shape: C, H and W of the image that all but the parameters are counted for.
        params: Parameters.
        params_trainable: Those that an optimizer may change.
        params_by_part: By `scconv_lab.complexity.PARTS`.
        macs: Multiply-accumulates of convolutions and matrix products.
        operators: The MACs of each operator by two counters.
        work: Everything but the MACs, in the whole net.
        units: The same for each kind of unit.
    """

    image_shape: tuple[int, int, int]
    params: int
    params_trainable: int
    params_by_part: dict[str, int]
    macs: int
    operators: tuple[OperatorCount, ...]
    work: Work
    units: tuple[UnitCost, ...]

    @property
    def flops(self) -> int:
        """Floating-point operations: two a MAC."""
        return 2 * self.macs

    @property
    def macs_torchinfo(self) -> int:
        """Multiply-accumulates as torchinfo counts them."""
        return sum(row.torchinfo for row in self.operators)

    def rows(self) -> Iterator[tuple[str, str, str, float]]:
        """Every figure as (part, name, figure, value), such as ("units", "ScConv", "macs", 372506624)."""
        yield from (("counted", "net", figure, value) for figure, value in self.figures().items())
        for row in self.operators:
            yield "operators", row.operator, "flop_counter", row.flop_counter
            yield "operators", row.operator, "torchinfo", row.torchinfo
        for unit in self.units:
            yield from (("units", unit.unit, figure, value) for figure, value in unit.figures().items())

    def figures(self) -> dict[str, int]:
        """Every figure of the whole net by its name, as W&B has it after "complexity/"."""
        return {
            "params": self.params,
            "params_trainable": self.params_trainable,
            **{f"params_{part}": params for part, params in self.params_by_part.items()},
            "macs": self.macs,
            "flops": self.flops,
            "macs_torchinfo": self.macs_torchinfo,
            **asdict(self.work),
        }


def count_cost(net: nn.Module, image_shape: tuple[int, int, int]) -> Cost:
    """Count all that one image's forward pass costs.

    On copies on the meta device, so nothing is computed and the net stays as it is.

    Args:
        net: Maps (B, C, H, W) to anything.
        image_shape: C, H and W of an image.

    Raises:
        UserError: (a ValueError) if the net reads an attribute of a convolution where surgery has put a unit.
    """
    meta_net, images = meta_inputs(net, image_shape)
    shapes: dict[str, tuple[Shape, Shape]] = {}
    units = list(_named_units(meta_net))
    for name, _, unit in units:
        unit.register_forward_hook(lambda _, inputs, output, name=name: shapes.update({name: _seen(inputs, output)}))
    with named_sites(), torch.no_grad(), FlopCounterMode(display=False) as flops, WorkCounter() as work:
        meta_net(images)
    by_module = {name: sum(counts.values()) // 2 for name, counts in flops.get_flop_counts().items()}
    kinds: dict[str, list[UnitCost]] = {}
    for name, kind, unit in units:
        if name in shapes:  # a net may hold what it does not use
            path = f"{type(meta_net).__name__}.{name}" if name else "Global"
            kinds.setdefault(kind, []).append(_unit_cost(kind, unit, by_module.get(path, 0), *shapes[name]))
    return Cost(
        image_shape=image_shape,
        params=count_params(net),
        params_trainable=count_trainable(net),
        params_by_part=params_by_part(net),
        macs=flops.get_total_flops() // 2,
        operators=tuple(compare_counters(net, image_shape)),
        work=work.work,
        units=tuple(_together(costs) for costs in kinds.values()),
    )


def _named_units(net: nn.Module) -> Iterator[tuple[str, str, Unit]]:
    """Each unit's name in the net and its kind; a unit comes before those inside it, and lends them its class."""
    kind, inside = "", None
    for name, module in net.named_modules():
        if not isinstance(module, Unit):
            continue
        if inside is None or not name.startswith(inside):
            kind, inside = type(module).__name__, f"{name}." if name else ""
            yield name, kind, module
        else:
            yield name, f"{kind}.{name.removeprefix(inside)}", module


def _seen(inputs: tuple[Any, ...], output: Tensor) -> tuple[Shape, Shape]:
    (_, *before), (_, *after) = inputs[0].shape, output.shape
    return (before[0], before[1], before[2]), (after[0], after[1], after[2])


def _unit_cost(kind: str, unit: Unit, macs: int, input_shape: Shape, output_shape: Shape) -> UnitCost:
    work = count_work(unit, input_shape)
    return UnitCost(kind, 1, count_params(unit), macs, work, least_bytes(unit, input_shape, output_shape))


def _together(costs: list[UnitCost]) -> UnitCost:
    return UnitCost(
        unit=costs[0].unit,
        count=len(costs),
        params=sum(cost.params for cost in costs),
        macs=sum(cost.macs for cost in costs),
        work=sum((cost.work for cost in costs), Work()),
        least_bytes=sum(cost.least_bytes for cost in costs),
    )
