"""What two checkpoints differ in."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def differing(ours: Any, theirs: Any, key: str = "") -> list[str]:
    """Dotted keys of all values that are not equal to the last bit; of absolute paths the last part counts."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        ours, theirs = ({_short(name): value for name, value in both.items()} for both in (ours, theirs))
        keys = dict.fromkeys([*ours, *theirs])
        return [line for name in keys for line in differing(ours.get(name), theirs.get(name), f"{key}.{name}")]
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [line for index, (a, b) in pairs for line in differing(a, b, f"{key}.{index}")]
    if isinstance(ours, Tensor) and isinstance(theirs, Tensor):
        return [] if ours.dtype == theirs.dtype and torch.equal(ours, theirs) else [key]
    if key.endswith(".current_score"):  # Lightning's ModelCheckpoint forgets it, and decides nothing by it
        return []
    return [] if _short(ours) == _short(theirs) else [key]


def require_equal(run: Path, whole: Path) -> None:
    """Weights, optimizer, schedule, loops, best score, generators and results, to the last bit."""
    for name in ("last", "best"):
        ours, theirs = (load(folder / "checkpoints" / f"{name}.ckpt") for folder in (run, whole))
        for content in (ours, theirs):  # the folder's name is its start, and places and loggers change nothing
            for place in ("logger", "default_root_dir"):
                content["configuration"]["trainer"].pop(place, None)
            for state in content["callbacks"].values():
                state.pop("dirpath", None)
        assert differing(ours, theirs) == []
    assert results_of(run) == results_of(whole)
    if (whole / "predictions.npz").exists():
        assert (run / "predictions.npz").read_bytes() == (whole / "predictions.npz").read_bytes()


def results_of(run: Path) -> dict[str, Any]:
    """A run's results, without the time that it took."""
    return {key: value for key, value in json.loads((run / "results.json").read_text()).items() if key != "seconds"}


def _short(value: Any) -> Any:
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value
