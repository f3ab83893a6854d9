"""Exports that differ from their net, each in one way."""

import copy
from pathlib import Path

import torch
from torch import Tensor

from scconv_lab.export import FORMATS
from scconv_lab.training import Classifier

write_safetensors = FORMATS["safetensors"].write


def wrong_weights(classifier: Classifier, images: Tensor, path: Path) -> None:
    """One class's weights of the last layer are off by 1 %."""
    broken = copy.deepcopy(classifier)
    broken.net.get_parameter("fc.weight").data[0] *= 1.01
    write_safetensors(broken, images, path)


def no_statistics(classifier: Classifier, images: Tensor, path: Path) -> None:
    broken = copy.deepcopy(classifier)
    broken.net.get_buffer("bn1.running_mean").zero_()
    write_safetensors(broken, images, path)


def not_a_number(classifier: Classifier, images: Tensor, path: Path) -> None:
    broken = copy.deepcopy(classifier)
    broken.net.get_parameter("fc.bias").data[3] = torch.nan
    write_safetensors(broken, images, path)
