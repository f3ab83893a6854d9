"""What a fit leaves and says when it has ended."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only

from scconv_lab.fit.callbacks import leave_averages
from scconv_lab.run_folder.files import write_whole
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.run_folder.progress import progress_of
from scconv_lab.run_folder.provenance import provenance
from scconv_lab.run_folder.results import write_results
from scconv_lab.shipped import typed
from scconv_lab.training import Classifier, tracking
from scconv_lab.training.per_class import accuracies_of, confusion_of, draw_confusion, write_confusion
from scconv_lab.training.per_image import PerImageRecord, figures_of, label_hash, write_predictions
from scconv_lab.training.record import RunRecord


def final_tests(trainer: Trainer, model: Classifier, folder: RunFolder) -> dict[str, dict[str, float]]:
    """Test the best checkpoint and the last, once each, and write what is found of each image.

    The figures of the best are logged by their names, those of the last as "last/test/acc1" and so on. Without
    validation images, or without checkpoints, the last weights are the only ones.

    Args:
        trainer: Has ended the fit.
        model: Has been trained.
        folder: The run's.

    Returns:
        The figures by "best" and "last".
    """
    leave_averages(trainer)
    record = PerImageRecord()
    trainer.callbacks.append(record)  # pyrefly: ignore[missing-attribute]  # Lightning's connector sets it
    figures: dict[str, dict[str, float]] = {}
    found: dict[str, dict[str, np.ndarray]] = {}
    data: Any = trainer.datamodule  # pyrefly: ignore[missing-attribute]  # the same
    loggers = trainer.loggers
    for name, path in (("best", folder.best), ("last", folder.last)):
        if name == "best" and not path.exists():
            continue
        if figures:
            trainer.loggers = []
        checkpoint = str(path) if path.exists() else None
        trainer.test(model, data, ckpt_path=checkpoint, weights_only=True, verbose=False)
        figures[name] = {
            key: value.item() for key, value in trainer.callback_metrics.items() if key.startswith("test/")
        }
        found[name] = record.found
        figures[name] |= figures_of(record.found)
    trainer.loggers = loggers
    for logger in loggers:
        logger.log_metrics({f"last/{key}": value for key, value in figures["last"].items()}, step=trainer.global_step)
    if all(found.values()):
        write_predictions(folder.per_image, found)
    return figures


@rank_zero_only
def mark_finished(
    trainer: Trainer,
    record: RunRecord,
    best: ModelCheckpoint | None,
    *,
    tests: dict[str, dict[str, float]],
    recipe: str,
) -> None:
    """Write the run's results.json: what was measured and counted, and by what.

    A run is finished when it is there, never by its exit code. Not to be called before fit and test have ended.

    Args:
        trainer: Has ended fit and test.
        record: Knows the run's folder, configuration and cost.
        best: Keeps the run's best.ckpt, of the highest val/acc1.
        tests: The figures of the final tests; empty if there were none.
        recipe: The hash of what the arms of an ablation have in common.
    """
    folder, config = RunFolder(record.run_dir), record.config
    measured: dict[str, Any] = {key: value.item() for key, value in trainer.callback_metrics.items()}
    measured |= tests.get("best") or tests.get("last") or {}
    if best is not None and best.best_model_score is not None:
        measured["val/acc1"] = best.best_model_score.item()
    counted = {"params": record.cost.params, "macs": record.cost.macs} if record.cost else {}
    progress = progress_of(folder)
    who = {key: config.get(key) for key in ("experiment", "arm")}
    made = {
        "seed": config["seed_everything"],
        "recipe": recipe,
        "data": config["data"]["class_path"].rpartition(".")[2],
        **_sizes(trainer),
        **_test_set(folder),
        "device": _device(trainer),
        "precision": trainer.precision,
        "processes": trainer.world_size,
        "epochs": progress.epoch,
        "best_epoch": max(progress.accuracies, key=progress.accuracies.__getitem__, default=None),
        "seconds": round(sum(progress.seconds), 3),
    }
    code = {key: value for key, value in provenance().items() if key in ("git_commit", "lock_hash", "torch")}
    results = {"steps": trainer.global_step, **measured, **counted, **code, "code": record.code, **who, **made, **tests}
    write_results(record.run_dir, results)


def _test_set(folder: RunFolder) -> dict[str, Any]:
    """The number of test images, and a hash of their labels; empty where there was no test."""
    if not folder.per_image.exists():
        return {}
    with np.load(folder.per_image) as arrays:
        labels = arrays["label"]
    return {"test_images": len(labels), "test_labels": label_hash(labels)}


def _sizes(trainer: Trainer) -> dict[str, int]:
    """How many images there were to train on, and how many were set aside."""
    data: Any = trainer.datamodule  # pyrefly: ignore[missing-attribute]  # Lightning's connector sets it
    splits: dict[str, Any] = {f"{name}_images": getattr(data, f"{name}_set", None) for name in ("train", "val")}
    return {name: len(split) for name, split in splits.items() if hasattr(split, "__len__")}


def _device(trainer: Trainer) -> str:
    """The kind of the device, such as "cpu" or "NVIDIA H100 80GB HBM3"."""
    device = trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


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


@rank_zero_only
def say_how_to_resume(folder: RunFolder) -> None:
    """Print the command that resumes a fit which was asked to end."""
    print(
        f"resume   {typed(f'scconv-lab fit --config {folder.config}')} \\\n             --resume {folder.path}",
        flush=True,
    )


@rank_zero_only
def say_what_next(trainer: Trainer, run_dir: Path, checkpoint: str | None) -> None:
    """Print where the run lies, and the commands that show, upload and evaluate it."""
    print(f"folder   {run_dir}")
    for logger in trainer.loggers:
        if isinstance(logger, tracking.WandbLogger) and logger.files_dir is not None:
            folder = os.path.relpath(logger.files_dir)
            print(f"look     {typed(f'wandb leet {folder}')}")
            if logger.state.startswith("offline"):
                print(f"upload   {typed(f'wandb sync {folder}')}")
    if checkpoint:
        config, weights = RunFolder(run_dir).config, os.path.relpath(checkpoint)
        print(f"again    {typed(f'scconv-lab test --config {config}')} \\\n             --ckpt_path {weights}")
