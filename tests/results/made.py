"""Folders of finished runs that no fit has made: only what `scconv-lab results` reads."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from scconv_lab.run_folder.members import Launch, Member, note_launch
from scconv_lab.training.per_image import columns, write_predictions

IMAGES = 360
SWEEP: dict[str, Any] = {
    "name": "small",
    "experiment": "../experiments/baseline.yaml",
    "grid": {"arm": {"plain": {}, "S": {"surgery.unit": "SRU"}}},
    "seeds": [0, 1, 2, 3, 4, 5],
    "contrasts": {"axis": "arm", "reference": "plain"},
    "margin": 1.0,
}
PLAIN = [0.901, 0.905, 0.899, 0.903, 0.902, 0.900]
S = [0.931, 0.934, 0.930, 0.932, 0.935, 0.929]


def results(acc1: float, *, seed: int = 0, arm: str | None = None, **changes: Any) -> dict[str, Any]:
    """A results.json."""
    tested = {"test/acc1": acc1, "test/acc5": 0.99, "test/loss": 1 - acc1, "test/brier": 0.1}
    return {
        "schema": 1,
        "steps": 100,
        **tested,
        "val/acc1": acc1,
        "params": 1000,
        "macs": 2000,
        "git_commit": "a" * 40,
        "lock_hash": "b" * 64,
        "torch": "2.15.0",
        "code": {"scconv_lab": "0123456789ab"},
        "experiment": "small",
        "arm": arm,
        "seed": seed,
        "recipe": "ffff00001111",
        "data": "Digits",
        "train_images": 1197,
        "val_images": 240,
        "test_images": IMAGES,
        "test_labels": "cafe0000cafe",
        "device": "cpu",
        "precision": "32-true",
        "processes": 1,
        "epochs": 15,
        "best_epoch": 12,
        "seconds": 7.5,
        "best": tested,
        "last": tested,
    } | changes


def made_run(folder: Path, acc1: float, **changes: Any) -> Path:
    """The folder of a finished run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text("seed_everything: 0\n")
    (folder / "results.json").write_text(json.dumps(results(acc1, **changes)))
    return folder


def made_sweep(
    here: Path, values: Mapping[str, Sequence[float | None]], *, content: Mapping[str, Any] | None = None
) -> Path:
    """The file of a sweep that was launched in a folder, and its runs; None is a run that has not begun."""
    file = here / "sweeps/small.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(SWEEP | dict(content or {}), sort_keys=False))
    root = here / "runs/sweeps"
    root.mkdir(parents=True, exist_ok=True)
    members = []
    for arm, found in values.items():
        for seed, acc1 in enumerate(found):
            members.append(Member(f"{arm}-{seed}", arm, seed))
            if acc1 is not None:
                made_run(run_of(here, arm, seed), acc1, seed=seed, arm=arm)
    note_launch(root, "small", Launch((), (), tuple(members)))
    return file


def run_of(here: Path, arm: str, seed: int) -> Path:
    """The folder of a run of `made_sweep`."""
    return here / "runs/sweeps" / f"{arm}-{seed}"


def change(folder: Path, **changes: Any) -> None:
    """Change a run's results.json; None removes a key."""
    file = folder / "results.json"
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def with_predictions(folder: Path, right: np.ndarray) -> None:
    """Write a run's predictions.npz: whether each image is right, of two classes."""
    logits = torch.zeros(len(right), 2)
    logits[torch.arange(len(right)), torch.as_tensor(np.where(right, 0, 1))] = 2.0
    found = {
        name: values.numpy() for name, values in columns(logits, torch.zeros(len(right), dtype=torch.int64)).items()
    }
    write_predictions(folder / "predictions.npz", {"last": found})
