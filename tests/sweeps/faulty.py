"""Nets that fail in training, each in a way of its own, and one that tells where it is."""

import os
from typing import Any

import torch
from torch import Tensor

from scconv_lab.models import CifarResNet


class Crashing(CifarResNet):
    """Raises."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            raise RuntimeError("this net crashes")
        return super().forward(x)


class Greedy(CifarResNet):
    """Asks for a petabyte."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            torch.empty(2**50, dtype=torch.uint8, device=x.device)
        return super().forward(x)


class Poisoned(CifarResNet):
    """Yields NaN."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (float("nan") if self.training else 1.0)


class Telling(CifarResNet):
    """Prints which GPUs it may see."""

    def __init__(self, num_classes: int = 10, **arguments: Any) -> None:
        super().__init__(num_classes, **arguments)
        if self.conv1.weight.device.type == "cpu":
            print(f"sees {os.environ.get('CUDA_VISIBLE_DEVICES')}", flush=True)
