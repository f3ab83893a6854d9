"""Writes predictions to a file."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import distributed

from scconv_lab.data import IGNORE_INDEX, UNLABELLED
from scconv_lab.run_folder.files import write_whole


class PredictionWriter(BasePredictionWriter):
    """Writes one line a sample: its file or number, its label where it has one, prediction and probabilities.

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
        probabilities = gather(torch.cat([p for p, _ in predictions]).to(pl_module.device))
        labels = gather(torch.cat([label for _, label in predictions]).to(pl_module.device))
        if not trainer.is_global_zero:
            return
        data: Any = trainer.datamodule  # pyrefly: ignore[missing-attribute]  # Lightning's connector sets it
        classes = data.class_names
        kept = labels != IGNORE_INDEX  # what fills up the last batch of some process
        samples = data.predicted_samples
        limit = trainer.limit_predict_batches
        if isinstance(limit, int) or limit < 1:  # only the first samples; 1 is one batch, 1.0 all
            samples = samples[: int(kept.sum())]
        rows = zip(samples, labels[kept].tolist(), probabilities[kept].tolist(), strict=True)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["sample", "label", "prediction", *(f"p({name})" for name in classes)])
        for sample, label, of_classes in rows:
            likeliest = max(range(len(of_classes)), key=of_classes.__getitem__)
            truth = classes[label] if label != UNLABELLED else ""
            writer.writerow([sample, truth, classes[likeliest], *(f"{p:.6f}" for p in of_classes)])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, text.getvalue())
        print(f"predictions  {self.path}", flush=True)


def gather(own: torch.Tensor) -> torch.Tensor:
    """Put together what all processes hold: sample i of process r is sample i * world_size + r of the split."""
    if not distributed.is_available() or not distributed.is_initialized():
        return own
    parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, own.contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1)
