"""What a fit leaves and says when it has ended."""

import json
import os
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only

from scconv_lab.run_folder.files import write_whole
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.run_folder.provenance import provenance
from scconv_lab.run_folder.results import write_results
from scconv_lab.shipped import typed
from scconv_lab.training import tracking
from scconv_lab.training.record import RunRecord


@rank_zero_only
def mark_finished(trainer: Trainer, record: RunRecord, best: ModelCheckpoint | None) -> None:
    """Write the run's results.json: what was measured and counted, and by which code.

    A run is finished when it is there, never by its exit code. Not to be called before fit and test have ended.

    Args:
        trainer: Has ended fit and test.
        record: Knows the run's folder and cost.
        best: Keeps the run's best.ckpt, of the highest val/acc1.
    """
    measured: dict[str, Any] = {key: value.item() for key, value in trainer.callback_metrics.items()}
    if best is not None and best.best_model_score is not None:
        measured["val/acc1"] = best.best_model_score.item()
    counted = {"params": record.cost.params, "macs": record.cost.macs} if record.cost else {}
    code: dict[str, Any] = {key: value for key, value in provenance().items() if key in ("git_commit", "lock_hash")}
    code["code"] = record.code
    write_results(record.run_dir, {"steps": trainer.global_step, **measured, **counted, **code})


@rank_zero_only
def write_evaluation(trainer: Trainer, file: Path, weights: Path) -> None:
    """Write the figures of an evaluated checkpoint as JSON, and say where."""
    figures = {key: value.item() for key, value in trainer.callback_metrics.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, f"{json.dumps({'weights': str(weights), **figures}, indent=2)}\n")
    print(f"figures  {file}", flush=True)


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
