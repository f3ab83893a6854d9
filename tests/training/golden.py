"""The loss of 200 steps under each reading, computed so that machines can agree on it.

`uv run --locked python -m tests.training.golden` writes golden.json anew, for a change that is meant to change it.

fp32 would not do: oneDNN takes other kernels on other CPUs, and their rounding grows from step to step. In fp64, from
weights that NumPy draws (torch's normal_ rounds by the CPU too), CPUs differ by the last bits of each sum.
"""

import json
import os
import platform
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from scconv_lab.data import Digits
from scconv_lab.nn import READINGS, SRU
from scconv_lab.training import Classifier

FILE = Path(__file__).with_suffix(".json")
STEPS = 200


def machine() -> str:
    """What has to agree for two runs to agree to the last bit."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    parts = [platform.machine(), model, torch.backends.cpu.get_cpu_capability(), f"torch {torch.__version__}"]
    return ", ".join(parts)


def trace(reading: str, *, nudge: float = 0.0) -> list[float]:
    """The losses; `nudge` is added to one weight of the first convolution, to see how much a rounding error grows."""
    net = {"class_path": "scconv_lab.models.CifarResNet", "init_args": {"depth": 8}}
    unit = {"class_path": "scconv_lab.nn.ScConv", "init_args": READINGS[reading]}
    surgery = {"unit": unit, "sites": "paper", "action": "replace"}
    model = Classifier(net, num_classes=10, image_shape=(3, 8, 8), surgery=surgery).net.double().train()
    draw_weights(model)
    with torch.no_grad():
        next(model.parameters())[0, 0, 0, 0] += nudge
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    os.environ["PL_GLOBAL_SEED"] = "0"
    data = Digits(batch_size=16)
    data.setup("fit")
    loader = data.train_dataloader()
    losses: list[float] = []
    for epoch in range(STEPS):
        loader.sampler.set_epoch(epoch)
        for images, labels in loader:
            loss = F.cross_entropy(model(images.double()), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == STEPS:
                return losses
    raise AssertionError("an epoch has a step")


@torch.no_grad()
def draw_weights(model: nn.Module) -> None:
    draw = np.random.default_rng(0)
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            values = torch.from_numpy(draw.standard_normal(parameter.shape))
            if parameter.dim() > 1:
                parameter.copy_(values * (2 / parameter[0].numel()) ** 0.5)
            elif name == "bias":
                parameter.zero_()
            elif isinstance(module, SRU) and module.gamma_init == "normal" and parameter is module.weight:
                parameter.copy_(values)


if __name__ == "__main__":
    torch.set_num_threads(1)
    content = {"machine": machine(), "losses": {reading: trace(reading) for reading in READINGS}}
    FILE.write_text(f"{json.dumps(content, indent=1)}\n")
