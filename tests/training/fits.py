"""Short fits of a small net on digits, in the process of the tests."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything

from scconv_lab.data import Digits
from scconv_lab.run_folder.checkpoint_io import VerifiedCheckpointIO
from scconv_lab.training import Classifier
from scconv_lab.training.checkpoint import checkpoints

NET = {"class_path": "scconv_lab.models.CifarResNet", "init_args": {"depth": 8}}
SCCONV = {"unit": {"class_path": "scconv_lab.nn.ScConv"}, "sites": "paper", "action": "replace"}
SGD = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "momentum": 0.9}}

WARNINGS = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory:UserWarning"),
    # of three cores that are not there
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]
"""What Lightning warns of in `fit`, for a module's ``pytestmark``."""


def classifier(**changes: Any) -> Classifier:
    settings: dict[str, Any] = {"num_classes": 10, "image_shape": (3, 8, 8), "optimizer": SGD, "surgery": SCCONV}
    return Classifier(NET, **settings | changes)


class Noise(Callback):
    """Changes each batch by what all three generators draw, as dropout would."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        batch[0].add_(0.1 * torch.rand(()) + 0.1 * random.random() + 0.1 * float(np.random.rand()))


def fit(
    folder: Path, *, ckpt: Path | None = None, extra: tuple[Callback, ...] = (), workers: int = 0, **changes: Any
) -> Trainer:
    seed_everything(0, verbose=False)
    settings: dict[str, Any] = {
        "accelerator": "cpu",
        "max_epochs": 3,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
        "num_sanity_val_steps": 0,
        "plugins": [VerifiedCheckpointIO()],
        "callbacks": [Noise(), *extra, *checkpoints(folder)],
    }
    schedule = {"class_path": "torch.optim.lr_scheduler.CosineAnnealingLR", "init_args": {"T_max": 3}}
    trainer = Trainer(**settings | changes)
    data = Digits(batch_size=300, num_workers=workers)
    trainer.fit(classifier(lr_scheduler=schedule), data, ckpt_path=ckpt, weights_only=True)
    return trainer
