"""Tests: those at the end of a fit, and what the commands validate and test leave."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_only

from scconv_lab.data import ImageDataModule
from scconv_lab.fit.callbacks import leave_averages
from scconv_lab.run_folder.files import write_whole
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.training import Classifier, tracking
from scconv_lab.training.per_class import accuracies_of, confusion_of, draw_confusion, write_confusion
from scconv_lab.training.per_image import PerImageRecord, figures_of, label_hash, write_predictions

Figures = dict[str, dict[str, float]]
"""Of each tested checkpoint, "best" and "last"."""
PerImage = dict[str, dict[str, np.ndarray]]
"""Of each, see `scconv_lab.training.per_image.columns`; empty but in the first process."""


def final_tests(
    trainer: Trainer, model: Classifier, data: ImageDataModule, folder: RunFolder
) -> tuple[Figures, PerImage]:
    """Test the best checkpoint and the last, once each.

    The figures of the best are logged by their names, those of the last as "last/test/acc1" and so on. Without
    validation images, or without checkpoints, the last weights are the only ones.

    Args:
        trainer: Has ended the fit, or has done nothing yet.
        model: Has been trained, or is to be filled from the checkpoints.
        data: Holds the test set.
        folder: The run's.
    """
    leave_averages(trainer)
    record = PerImageRecord()
    trainer.callbacks.append(record)  # pyrefly: ignore[missing-attribute]  # Lightning's connector sets it
    figures: Figures = {}
    found: PerImage = {}
    loggers = trainer.loggers
    there = {
        name: str(path) if path.exists() else None for name, path in (("best", folder.best), ("last", folder.last))
    }
    # another process may have another name for the folder, or see an older state of it
    for name, checkpoint in trainer.strategy.broadcast(there).items():
        if name == "best" and checkpoint is None:
            continue
        if figures:
            trainer.loggers = []
        trainer.test(model, data, ckpt_path=checkpoint, weights_only=True, verbose=False)
        figures[name] = {
            key: value.item() for key, value in trainer.callback_metrics.items() if key.startswith("test/")
        }
        found[name] = record.found
        figures[name] |= figures_of(record.found)
    trainer.loggers = loggers
    for logger in loggers:
        logger.log_metrics({f"last/{key}": value for key, value in figures["last"].items()}, step=trainer.global_step)
    return figures, found


def keep_per_image(folder: RunFolder, found: PerImage) -> None:
    """Write what was found of each image, if anything was."""
    if found and all(found.values()):
        write_predictions(folder.per_image, found)


def test_set_of(folder: RunFolder) -> dict[str, Any]:
    """The number of test images, and a hash of their labels; empty where there was no test."""
    if not folder.per_image.exists():
        return {}
    with np.load(folder.per_image) as arrays:
        labels = arrays["label"]
    return {"test_images": len(labels), "test_labels": label_hash(labels)}


@rank_zero_only
def write_evaluation(trainer: Trainer, file: Path, weights: Path, more: Mapping[str, Any] | None = None) -> None:
    """Write the figures of an evaluated checkpoint as JSON, with ``more``, and say where."""
    figures = {key: value.item() for key, value in trainer.callback_metrics.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, f"{json.dumps({'weights': str(weights), **figures, **(more or {})}, indent=2)}\n")
    print(f"figures  {file}", flush=True)


@rank_zero_only
def write_test(trainer: Trainer, folder: RunFolder, weights: Path, found: dict[str, np.ndarray]) -> None:
    """Write the figures of a tested checkpoint, those of each class, and which classes it takes for which.

    Args:
        trainer: Has tested.
        folder: Receives the files.
        weights: What was tested.
        found: Of each image, see `scconv_lab.training.per_image.columns`; empty where the module gave no logits.
    """
    data: Any = trainer.datamodule  # pyrefly: ignore[missing-attribute]  # Lightning's connector sets it
    if not found:
        write_evaluation(trainer, folder.evaluation("test", weights), weights)
        return
    names = data.class_names
    confusion = confusion_of(found, len(names))
    accuracies = dict(zip(names, accuracies_of(confusion), strict=True))
    write_evaluation(
        trainer, folder.evaluation("test", weights), weights, {**figures_of(found), "acc1 by class": accuracies}
    )
    table, picture = folder.confusion(weights, "csv"), folder.confusion(weights, "png")
    write_confusion(table, confusion, names)
    drawn = draw_confusion(picture, confusion, names, f"{weights.name}: what each class is taken for")
    print(f"classes  {table}{f' and {picture.name}' if drawn else ''}", flush=True)
    for logger in trainer.loggers:
        if isinstance(logger, tracking.WandbLogger):
            rows = [[name, accuracy] for name, accuracy in accuracies.items()]
            logger.log_table("acc1 by class", ["class", "acc1"], rows)
            counts = [[name, *row] for name, row in zip(names, confusion.tolist(), strict=True)]
            logger.log_table("confusion", ["label", *map(str, names)], counts)
            if drawn:
                logger.log_image("confusion picture", [str(picture)])
