"""How a checkpoint does on each class: accuracies, and which classes it takes for which."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torchmetrics.functional.classification import multiclass_confusion_matrix

from scconv_lab.run_folder.files import write_whole

_MOST_NAMED = 30
"""Classes whose names a picture has room for."""
_INCHES = 0.28


def confusion_of(found: Mapping[str, np.ndarray], num_classes: int) -> np.ndarray:
    """Count the images of each label (rows) that were taken for each class (columns): (num_classes, num_classes).

    Args:
        found: ``label`` and ``prediction``, each (N,).
        num_classes: How many there are.
    """
    predictions, labels = (torch.from_numpy(found[name].astype(np.int64)) for name in ("prediction", "label"))
    return multiclass_confusion_matrix(predictions, labels, num_classes).numpy()


def accuracies_of(confusion: np.ndarray) -> list[float | None]:
    """The accuracy on each class, from 0 to 1; None of a class without test images."""
    return [float(row[label] / row.sum()) if row.sum() else None for label, row in enumerate(confusion)]


def write_confusion(path: Path, confusion: np.ndarray, class_names: Sequence[str]) -> None:
    """Write the counts as CSV: a row for each label, a column for each prediction."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["label", *class_names])
    writer.writerows([name, *row] for name, row in zip(class_names, confusion.tolist(), strict=True))
    write_whole(path, text.getvalue())


def draw_confusion(path: Path, confusion: np.ndarray, class_names: Sequence[str], title: str) -> bool:
    """Draw the shares of each label's images as PNG.

    Returns:
        Whether matplotlib is there; nothing is drawn without it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    size = min(max(_INCHES * len(class_names), 4.0), 12.0)
    figure = Figure(figsize=(size + 1.5, size + 1), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues", interpolation="nearest")
    axes.set_title(title)
    axes.set_xlabel("prediction")
    axes.set_ylabel("label")
    if len(class_names) <= _MOST_NAMED:
        axes.set_xticks(range(len(class_names)), class_names, rotation=90)
        axes.set_yticks(range(len(class_names)), class_names)
    figure.colorbar(image, ax=axes, label="share of the label's images")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    write_whole(path, content.getvalue())
    return True
