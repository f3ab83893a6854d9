"""Which checkpoints a fit leaves, and which checkpoint fits a configuration."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint

from scconv_lab.errors import UserError
from scconv_lab.training.classifier import Classifier
from scconv_lab.training.interrupt import StopOnInterrupt

_OF_THE_NET = ("net", "surgery", "num_classes")


def checkpoints(folder: Path) -> list[Callback]:
    """Keep ``best.ckpt``, of the highest val/acc1, and ``last.ckpt``, of the last epoch or of an interrupted one.

    Two callbacks, because Lightning's ``save_last`` writes only when a best one is written.
    """
    return [
        ModelCheckpoint(folder, "best", monitor="val/acc1", mode="max", enable_version_counter=False),
        ModelCheckpoint(folder, "last", enable_version_counter=False),
        StopOnInterrupt(folder / "last.ckpt"),
    ]


def require_same_hparams(path: Path, model: Classifier, *, for_training: bool) -> None:
    """Raise UserError unless a checkpoint was made by a model with the same arguments.

    For training all arguments count, for evaluation those of the net: a changed net would not load, and a changed
    learning rate would silently be the checkpoint's again.
    """
    saved = _flat(_load_hparams(path))
    current = _flat(dict(model.hparams))
    differing = [
        f"{key} is {saved.get(key)!r} there and {current.get(key)!r} here"
        for key in sorted(saved.keys() | current.keys())
        if saved.get(key) != current.get(key) and (for_training or key.startswith(_OF_THE_NET))
    ]
    if differing:
        raise UserError(
            f"--ckpt_path {path} was made with another configuration: {'; '.join(differing)}; "
            "give the configuration it was made with (config.yaml in its run's folder), or start without it"
        )


def _load_hparams(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"--ckpt_path {path} is not there; a fit leaves its own in RUN_FOLDER/checkpoints")
    try:
        return torch.load(path, map_location="meta", weights_only=True)["hyper_parameters"]
    except Exception as error:  # torch.load raises many kinds on a damaged file
        raise UserError(
            f"--ckpt_path {path} is not a readable checkpoint of this lab ({type(error).__name__}); "
            "use the run's other checkpoint"
        ) from error


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            flat |= _flat(item, f"{prefix}{key}.")
        elif item not in (None, {}):
            flat[f"{prefix}{key}"] = list(item) if isinstance(item, tuple) else item
    return flat
