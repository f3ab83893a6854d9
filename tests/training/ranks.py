"""Evaluation on several processes that talk over gloo, as a run's do."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed
import torch.multiprocessing
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment

from scconv_lab.data import Digits
from scconv_lab.training import Classifier

BATCH_SIZE = 12  # of all processes together; one, two and three of them share it out
IMAGES = range(1, 51)

Results = list[dict[str, float]]


def evaluate(world_size: int, folder: Path) -> Results:
    """What `validate` finds on splits of 1 to 50 images, by each process the same; `count` is the losses' weight."""
    if world_size == 1:
        return _evaluate()
    torch.multiprocessing.spawn(_process, (world_size, folder), nprocs=world_size)
    first, *others = (json.loads((folder / f"{rank}.json").read_text()) for rank in range(world_size))
    assert others == [first] * (world_size - 1)
    return first


def _process(rank: int, world_size: int, folder: Path) -> None:
    os.environ |= {"LOCAL_RANK": str(rank), "GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world_size)
    results = _evaluate(strategy="ddp", devices=world_size, plugins=[LightningEnvironment()])
    (folder / f"{rank}.json").write_text(json.dumps(results))
    torch.distributed.destroy_process_group()


class _Count(Callback):
    """How many samples the mean loss of all processes has taken."""

    count = 0.0

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        count = torch.as_tensor(pl_module.val_loss.weight).clone()
        if trainer.world_size > 1:
            torch.distributed.all_reduce(count)
        self.count = count.item()


def _evaluate(**processes: Any) -> Results:
    warnings.filterwarnings("ignore", message=".*does not have many workers", category=UserWarning)
    torch.manual_seed(0)
    net = {"class_path": "scconv_lab.models.CifarResNet", "init_args": {"depth": 8}}
    model = Classifier(net, num_classes=10, image_shape=(3, 8, 8))
    results = []
    for images in IMAGES:
        count = _Count()
        trainer = Trainer(
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            callbacks=count,
            **processes,
        )
        trainer.validate(model, Digits(val_size=images, batch_size=BATCH_SIZE), verbose=False)
        results.append({key: float(value) for key, value in trainer.callback_metrics.items()} | {"count": count.count})
    return results
