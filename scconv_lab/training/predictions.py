"""Writes predictions to a file."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter

from scconv_lab.data import IGNORE_INDEX


class PredictionWriter(BasePredictionWriter):
    """Writes one line a sample: its index in the split, its label, the predicted class and that class's probability.

    Args:
        path: The CSV file.
    """

    def __init__(self, path: Path):
        super().__init__(write_interval="epoch")
        self.path = path

    def write_on_epoch_end(
        self, trainer: Trainer, pl_module: LightningModule, predictions: Sequence[Any], batch_indices: Sequence[Any]
    ) -> None:
        """Gather the predictions of all processes and write them in the order of the split."""
        probabilities = _gather(pl_module, torch.cat([p for p, _ in predictions]).to(pl_module.device))
        labels = _gather(pl_module, torch.cat([label for _, label in predictions]).to(pl_module.device))
        if not trainer.is_global_zero:
            return
        top = probabilities.max(dim=1)
        rows = zip(labels.tolist(), top.indices.tolist(), top.values.tolist(), strict=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["index", "label", "prediction", "probability"])
            for index, (label, prediction, probability) in enumerate(rows):
                if label != IGNORE_INDEX:
                    writer.writerow([index, label, prediction, f"{probability:.6f}"])
        print(f"predictions  {self.path}", flush=True)


def _gather(pl_module: LightningModule, own: torch.Tensor) -> torch.Tensor:
    """Put together what all processes hold: sample i of process r is sample i * world_size + r of the split."""
    gathered = pl_module.all_gather(own)
    assert isinstance(gathered, torch.Tensor)
    return gathered if gathered.ndim == own.ndim else gathered.transpose(0, 1).flatten(0, 1)
