"""A description of a net, what a stranger may write into it, and the files that hold it."""

import copy
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from scconv_lab.training import Classifier

HONEST: dict[str, Any] = {
    "net": {"class_path": "scconv_lab.models.CifarResNet", "init_args": {"depth": 8}},
    "num_classes": 10,
    "image_shape": [3, 8, 8],
    "surgery": {
        "unit": {"class_path": "scconv_lab.nn.SRU", "init_args": {"num_groups": 4}},
        "sites": {"any": [{"stage": 2}, "layer3.0.conv2"]},
        "action": "insert_after",
    },
    "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}},
    "lr_scheduler": {"class_path": "torch.optim.lr_scheduler.CosineAnnealingLR", "init_args": {"T_max": 2}},
}


def changed(key: str, value: Any, description: dict[str, Any] = HONEST) -> dict[str, Any]:
    """A copy in which one part, named by a dotted key, has another value."""
    description = copy.deepcopy(description)
    *parents, last = key.split(".")
    place: Any = description
    for parent in parents:
        place = place[int(parent) if isinstance(place, list) else parent]
    place[int(last) if isinstance(place, list) else last] = value
    return description


def write_checkpoint(path: Path, description: Any) -> Path:
    """A checkpoint of the honest net's weights."""
    torch.save({"hyper_parameters": description, "state_dict": Classifier(**HONEST).state_dict()}, path)
    return path


def write_safetensors(path: Path, description: Any) -> Path:
    """The same as .safetensors."""
    text = description if isinstance(description, str) else json.dumps(description)
    save_file(Classifier(**HONEST).net.state_dict(), path, metadata={"format": "pt", "hyper_parameters": text})
    return path
