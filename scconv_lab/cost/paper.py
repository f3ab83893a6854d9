"""`scconv-lab cost --paper`: the paper's Tables 1 to 3 next to what this lab counts."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from textwrap import fill

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from scconv_lab.complexity import count_params
from scconv_lab.complexity.macs import meta_inputs
from scconv_lab.cost.paper_rows import NOTES, ROWS, TITLES, Arm, Row
from scconv_lab.cost.show import print_csv, print_json, print_table, progress
from scconv_lab.nn import CRU

_HOW = (
    "params and MACs in millions; MACs are of convolutions and linear layers; +norms: two more for each element of a "
    "batch norm, as the paper counts (so it has its plain ResNet-56 and DenseNet-121 to 0.01 %). Indented: another "
    "choice."
)


@dataclass(frozen=True)
class Counted:
    """One line: an arm as it is counted here, and in the paper.

    Attributes:
        table: 1, 2 or 3.
        name: The net and its arm.
        choice: The name of another choice than the lab's; empty for the lab's own.
        params: Counted parameters.
        macs: Counted MACs of convolutions and linear layers.
        macs_with_norms: As the paper counts: two more for each element of a batch norm.
        paper_params: The paper's parameters.
        paper_macs: The paper's "FLOPs", which are MACs.
        params_deviation: Of ``params`` from the paper's, in per cent.
        macs_deviation: Of ``macs_with_norms`` from the paper's, in per cent.
        notes: Keys of the notes.
    """

    table: int
    name: str
    choice: str
    params: int
    macs: int
    macs_with_norms: int
    paper_params: float
    paper_macs: float
    params_deviation: float
    macs_deviation: float
    notes: str


def report_paper(file_format: str) -> None:
    """Print every row of the paper's Tables 1 to 3, what is counted, the deviations, and what they come from."""
    with progress(len(ROWS)) as step:
        lines = [line for row in ROWS for line in count_row(row, step)]
    notes = fill_notes(lines)
    if file_format == "json":
        print_json({"rows": [asdict(line) for line in lines], "notes": notes})
    elif file_format == "csv":
        print_csv([asdict(line) for line in lines])
    else:
        _print(lines, notes)


def count_row(row: Row, step: Callable[[str], None] = lambda name: None) -> Iterator[Counted]:
    """Count a row's arm, and its other choice if it has one."""
    step(f"counting {TITLES[row.table].partition(':')[0]}, {row.name}")
    for choice, arm in [("", row.arm), *([row.another] if row.another else [])]:
        params, macs, macs_with_norms = _count(arm, (3, row.image_size, row.image_size))
        yield Counted(
            table=row.table,
            name=row.name,
            choice=choice,
            params=params,
            macs=macs,
            macs_with_norms=macs_with_norms,
            paper_params=1e6 * row.params,
            paper_macs=1e6 * row.macs,
            params_deviation=100 * (params / (1e6 * row.params) - 1),
            macs_deviation=100 * (macs_with_norms / (1e6 * row.macs) - 1),
            notes="" if choice else row.notes,
        )


def _count(arm: Arm, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    net, images = meta_inputs(arm.build(), image_shape)
    normalised: list[int] = []
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda module, inputs, output: normalised.append(output.numel()))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(images)
    macs = counter.get_total_flops() // 2
    return count_params(net), macs, macs + 2 * sum(normalised)


def fill_notes(lines: list[Counted]) -> dict[str, str]:
    """The notes, with the weights of a unit that the paper's params ask for put in."""
    own = {(line.table, line.name): line for line in lines if not line.choice}
    rows = {(row.table, row.name): row for row in ROWS}

    def implied(table: int, name: str) -> str:
        """Weights of a unit in C^2: equation 11's, and what the paper's net has more than ours."""
        line, key = own[table, name], (table, name)
        squares = sum(unit.channels**2 for unit in rows[key].arm.build().modules() if isinstance(unit, CRU))
        return f"{1.8125 + (line.paper_params - line.params) / squares:.2f}"

    resnet_50 = [(1, "S+C"), (2, "ResNet-50 SCConv"), (3, "ResNet-50 alpha 1/2")]
    values = {
        "implied": ", ".join(implied(*key) for key in resnet_50),
        "implied_resnext": implied(2, "ResNeXt-29 SCConv"),
    }
    return {key: text.format(**values) for key, text in NOTES.items()}


def _print(lines: list[Counted], notes: dict[str, str]) -> None:
    for table, title in TITLES.items():
        print(title)
        print_table(
            *("", "params", "paper", "%", "MACs", "+norms", "paper", "%", ""),
            rows=[_cells(line) for line in lines if line.table == table],
        )
        print()
    for text in (_HOW, *(f"{key}  {note}" for key, note in notes.items())):
        print(fill(text, 84, subsequent_indent="   " if text != _HOW else ""))


def _cells(line: Counted) -> tuple[str, ...]:
    digits = 2 if line.paper_macs < 1e9 else 0
    paper = (f"{line.paper_params / 1e6:.2f}", f"{line.paper_macs / 1e6:.{digits}f}")
    params_paper, macs_paper = ("", "") if line.choice else paper
    return (
        f"  {line.choice}" if line.choice else line.name,
        f"{line.params / 1e6:.2f}",
        params_paper,
        f"{line.params_deviation:+.1f}",
        f"{line.macs / 1e6:.{digits}f}",
        f"{line.macs_with_norms / 1e6:.{digits}f}",
        macs_paper,
        f"{line.macs_deviation:+.1f}",
        line.notes,
    )
