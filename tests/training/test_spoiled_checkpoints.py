"""Checkpoints whose content is spoiled and which have no checksum: one message, or a command that works."""

import io
import random
import re
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from scconv_lab.cli import main
from tests.mutations import CLASSES, VALUES, Node, nodes
from tests.runs import Run

FILES, ALL_FILES = 40, 300
LENGTH = 1000  # of a message
FIT = [
    *("--config", "experiments/ablation_scconv.yaml", "--config", "configs/scale/quick.yaml"),
    *("--trainer.max_epochs=2", "--trainer.logger=false", "--trainer.accelerator=cpu", "--final_test=false"),
    *("--optimizer.momentum=0.9", "--trainer.limit_train_batches=3", "--trainer.limit_val_batches=2"),
    *("--trainer.limit_test_batches=1", "--trainer.limit_predict_batches=1"),
]
COMMANDS = {
    "fit": ["fit", *FIT, "--ckpt_path"],
    "weights": ["fit", *FIT, "--weights"],
    "test": ["test", *FIT, "--ckpt_path"],
    "predict": ["predict", *FIT, "--ckpt_path"],
    "export": ["export", "--format", "safetensors", "--ckpt"],
}
PLAIN = [value for value in VALUES if not isinstance(value, set) and type(value).__name__ != "date"]
"""What a checkpoint can hold under weights_only."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    seed: int
    kind: str
    done: str
    detail: str


def draw_tensor(draw: random.Random, like: Tensor) -> Tensor:
    shapes = [torch.zeros(()), torch.zeros(3, dtype=torch.int64), like.flatten(), like[:0] if like.ndim else like]
    types = [like.to(dtype) for dtype in (torch.float64, torch.int64, torch.bool, torch.complex64)]
    return draw.choice([*shapes, *types]).clone()


def change(draw: random.Random, content: dict[Any, Any]) -> str:
    """Spoil one place: each part of a checkpoint as often, and each depth within it."""
    parent, key = content, draw.choice(list(content))
    path = [key]
    while isinstance(parent[key], dict | list) and parent[key] and draw.random() < 0.85:
        parent = parent[key]
        key = draw.choice(list(parent) if isinstance(parent, dict) else list(range(len(parent))))
        path.append(key)
    value = parent[key]
    ways = ["drop", "retype", "retype", "rescale", "swap", "repeat"]
    way = draw.choice([*ways, "tensor", "tensor"] if isinstance(value, Tensor) else ways)
    if way == "drop":
        del parent[key]
    elif way == "rescale" and type(value) in (int, float):
        parent[key] = draw.choice([-1, 0, 1000, 0.5, 10**18, float("nan")]) * value
    elif way == "swap":
        other: Node = draw.choice(list(nodes(content)))
        parent[key] = deepcopy(other[0][other[1]])
    elif way == "repeat" and isinstance(value, list):
        parent[key] = value * 2
    elif way == "tensor":
        parent[key] = draw_tensor(draw, value)
    else:
        parent[key] = deepcopy(draw.choice([*PLAIN, *CLASSES, torch.zeros(2), torch.zeros(2, dtype=torch.int64)]))
    return f"{way} {'.'.join(map(str, path))}"


@pytest.fixture
def checkpoint(workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """That of a run stopped within its second epoch, so that it holds the metrics of an epoch under way."""
    monkeypatch.chdir(workspace)
    assert main(["fit", *FIT, "--trainer.max_epochs=1"]) == 0
    first = Run(capsys.readouterr().out, workspace).folder / "checkpoints/last.ckpt"
    content = torch.load(first, weights_only=True)
    assert content["epoch"] == 0
    return first


def outcomes(checkpoint: Path, file: Path, seeds: range) -> Iterator[Outcome]:
    honest = torch.load(checkpoint, weights_only=True)
    for seed in seeds:
        draw = random.Random(seed)
        content = deepcopy(honest)
        done = ", ".join(change(draw, content) for _ in range(draw.choice([1, 1, 1, 2])))
        torch.save(content, file)
        name = draw.choice(["fit", "fit", "fit", "fit", *COMMANDS])
        out, err = io.StringIO(), io.StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = main([*COMMANDS[name], str(file)])
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{place.filename}:{place.lineno} {place.name}"
            yield Outcome(seed, "crash", f"{name}: {done}", f"{type(error).__name__} {where}: {str(error)[:300]}")
            continue
        message = err.getvalue()
        if code == 0:
            yield Outcome(seed, "taken", f"{name}: {done}", message)
            continue
        complaint = complaint_of(code, message, file)
        yield Outcome(seed, f"bad message: {complaint}" if complaint else "refused", f"{name}: {done}", message)


def complaint_of(code: int, message: str, file: Path) -> str | None:
    line = message.strip().splitlines()[-1] if message.strip() else ""
    if code != 2:
        return f"exit code {code}"
    if not line.startswith("scconv-lab: error: ") or len(line) > LENGTH:
        return "not one short line"
    if re.search(r"<class |Namespace\(|<function|object at 0x|Traceback", message):
        return "speaks Python"
    return None if file.name in line else "does not name the file"


@pytest.mark.slow
def test_a_spoiled_checkpoint_gets_a_message(checkpoint: Path, tmp_path: Path, full: bool) -> None:
    """40 files, and with `--full` 300."""
    found = list(outcomes(checkpoint, tmp_path / "spoiled.ckpt", range(ALL_FILES if full else FILES)))
    counted = Counter(outcome.kind for outcome in found)
    print(dict(counted), *(outcome for outcome in found if outcome.kind != "refused"), sep="\n")
    assert not [outcome for outcome in found if outcome.kind not in ("taken", "refused")]
    assert counted["refused"] > len(found) / 3
