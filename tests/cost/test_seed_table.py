"""The table of Jacky-Android/ResNet-ScConv's ResNet-34: 4 classes, (1, 3, 512, 512), ScConv behind each second 3x3."""

import json
import re

import pytest

from scconv_lab.cli import main

STAGES = [  # blocks, channels, height and width, ScConv's params, the projection's with its norm
    (3, 64, 128, 7_616, None),
    (4, 128, 64, 30_080, 8_448),
    (6, 256, 32, 119_552, 33_280),
    (3, 512, 16, 476_672, 132_096),
]


@pytest.fixture(scope="module")
def rows():
    with pytest.MonkeyPatch.context() as patch:
        printed = []
        patch.setattr("builtins.print", lambda text: printed.append(text))
        assert main(["cost", "--seed-table", "--format", "json"]) == 0
    return json.loads(printed[0])


def named(rows, name):
    return [row for row in rows if row["name"] == name]


def test_stem_and_head(rows):
    stem, *_ = named(rows, "conv1")
    assert (stem["output_size"], stem["params"]) == ("1x64x256x256", 9_408)
    assert named(rows, "bn1")[0]["params"] == 128
    (head,) = named(rows, "fc")
    assert (head["output_size"], head["params"]) == ("1x4", 2_052)


def test_every_block(rows):
    """Two 3x3 convolutions and ScConv behind the second, each at its stage's size."""
    sizes = [(f"1x{c}x{side}x{side}", c, unit) for blocks, c, side, unit, _ in STAGES for _ in range(blocks)]
    units = [row for row in rows if row["type"] == "ScConv"]
    assert [(row["output_size"], row["params"]) for row in units] == [(size, unit) for size, _, unit in sizes]
    second = named(rows, "conv")
    assert [(row["output_size"], row["params"]) for row in second] == [(size, 9 * c * c) for size, c, _ in sizes]
    first = [row for row in named(rows, "conv1") if row["depth"] == 3]
    assert [row["output_size"] for row in first] == [size for size, _, _ in sizes]
    inputs = [64, *(c for _, c, _ in sizes[:-1])]
    assert [row["params"] for row in first] == [9 * before * c for before, (_, c, _) in zip(inputs, sizes, strict=True)]


def test_projections(rows):
    parts = [row for row in rows if row["depth"] == 4 and row["name"] in ("0", "1")]
    pairs = [a["params"] + b["params"] for a, b in zip(parts[::2], parts[1::2], strict=True)]
    assert pairs == [projection for *_, projection in STAGES if projection]


def test_totals_are_as_printed_there(capsys):
    assert main(["cost", "--seed-table"]) == 0
    printed = capsys.readouterr().out
    for line in (
        "Total params: 23,577,220",
        "Trainable params: 23,577,220",
        "Total mult-adds (G): 21.09",
        "Input size (MB): 3.15",
        "Forward/backward pass size (MB): 557.58",
        "Params size (MB): 94.31",
        "Estimated Total Size (MB): 655.03",
    ):
        assert line in printed.splitlines()
    assert len(re.findall(r"ScConv \(unit\) ", printed)) == 16
