"""What a fit leaves and says when it has ended."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only

from scconv_lab.fit.tested import test_set_of
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.run_folder.progress import progress_of
from scconv_lab.run_folder.provenance import provenance
from scconv_lab.run_folder.results import write_results
from scconv_lab.shipped import typed
from scconv_lab.training import tracking
from scconv_lab.training.record import RunRecord, perf


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
    counted: dict[str, Any] = {"params": record.cost.params, "macs": record.cost.macs} if record.cost else {}
    counted |= perf(record.measured)
    progress = progress_of(folder)
    who = {key: config.get(key) for key in ("experiment", "arm")}
    made = {
        "seed": config["seed_everything"],
        "recipe": recipe,
        "data": config["data"]["class_path"].rpartition(".")[2],
        **_sizes(trainer),
        **test_set_of(folder),
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
