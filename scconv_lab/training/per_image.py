"""What a test finds of each image, kept for what is asked later: calibration, new images, two runs side by side."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from scconv_lab.data import IGNORE_INDEX
from scconv_lab.run_folder.files import write_whole
from scconv_lab.training.predictions import gather

_DIGITS = 12


class PerImageRecord(Callback):
    """Keeps of each test image of the last test what `columns` finds; nothing of an image takes more than 14 bytes."""

    def __init__(self) -> None:
        self._batches: list[dict[str, Tensor]] = []
        self.found: dict[str, np.ndarray] = {}
        """Of the last test, by name, each (N,) in the order of the test set; empty in all but the first process."""

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier test."""
        self._batches, self.found = [], {}

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take the batch's logits, (B, num_classes)."""
        if isinstance(outputs, Tensor):  # a module of one's own may give something else
            self._batches.append(columns(outputs, batch[1]))

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put together what all processes have found."""
        if not self._batches:
            return
        own = {name: torch.cat([batch[name] for batch in self._batches]) for name in self._batches[0]}
        self._batches = []
        # at once, and as floats, which hold every label: gloo knows no 16-bit numbers
        whole = gather(torch.stack([values.float() for values in own.values()], dim=1)).cpu()
        whole = whole[whole[:, 0] != IGNORE_INDEX]  # the others fill up the last batch of some process
        if trainer.is_global_zero:
            columns_of = zip(own, whole.unbind(dim=1), strict=True)
            self.found = {name: values.to(own[name].dtype).numpy() for name, values in columns_of}


def columns(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What is kept of a batch.

    ``label`` and ``prediction``, the class of the highest logit, as int16 (int32 above 32,767 classes); ``confidence``,
    the probability of the prediction; ``log_p_label``, the logarithm of that of the label; ``sum_p2``, the sum of the
    squares of all probabilities, all three as float32; ``top5``, whether the label is among the five likeliest classes.

    Args:
        logits: (B, num_classes).
        labels: (B,), `IGNORE_INDEX` where an item is padding.
    """
    whole = torch.int16 if logits.shape[1] < 2**15 else torch.int32
    log_p = logits.detach().float().log_softmax(dim=1)
    safe = labels.clamp(min=0)[:, None]
    top5 = log_p.topk(min(5, log_p.shape[1]), dim=1).indices
    return {
        "label": labels.to(whole),
        "prediction": top5[:, 0].to(whole),
        "confidence": log_p.amax(dim=1).exp(),
        "log_p_label": log_p.gather(1, safe)[:, 0],
        "top5": (top5 == safe).any(dim=1),
        "sum_p2": log_p.exp().square().sum(dim=1),
    }


def write_predictions(path: Path, tests: dict[str, dict[str, np.ndarray]]) -> None:
    """Write predictions.npz: ``label``, and of each tested checkpoint the other columns, such as ``last.prediction``.

    Args:
        path: The file.
        tests: By the checkpoint's name.
    """
    arrays = {"label": next(iter(tests.values()))["label"]}
    for checkpoint, found in tests.items():
        arrays |= {f"{checkpoint}.{name}": values for name, values in found.items() if name != "label"}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # pyrefly: ignore[bad-argument-type]  # its stub knows no arrays by name
    write_whole(path, content.getvalue())


def figures_of(found: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The figures that need every probability: test/brier, from 0 to 2; none of no images.

    Brier, Monthly Weather Review 1950: the mean of sum_k (p_k - [k is the label])^2.
    """
    if not found or not len(found["label"]):
        return {}
    return {"test/brier": float(np.mean(1 - 2 * np.exp(found["log_p_label"]) + found["sum_p2"]))}


def label_hash(labels: np.ndarray) -> str:
    """Name a test set by its labels in their order: 12 hexadecimal digits of a SHA-256."""
    return hashlib.sha256(labels.astype("<i4").tobytes()).hexdigest()[:_DIGITS]
