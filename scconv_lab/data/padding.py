"""Evaluation that counts every sample once, on any number of processes."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

IGNORE_INDEX = -1
"""Label of an item that is there only to fill a batch: losses and metrics take it as `ignore_index`."""
UNLABELLED = -2
"""Label of an image that nobody has labelled."""


class Padded(Dataset[tuple[Tensor, int]]):
    """`dataset`, lengthened to a multiple of `multiple` with blank images labelled `IGNORE_INDEX`.

    `range(rank, len(padded), multiple)` then gives every rank as many items, at least one, and no sample to two
    ranks; torch's DistributedSampler repeats samples instead, so that accuracy would depend on the number of ranks.
    """

    def __init__(self, dataset: Dataset, multiple: int) -> None:
        self.dataset = dataset
        self.size = len(dataset)  # pyrefly: ignore[bad-argument-type]  # torch's Dataset declares no __len__
        self.length = -(-self.size // multiple) * multiple

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index < self.size:
            image, label = self.dataset[index]
            return image, int(label)
        return torch.zeros_like(self.dataset[0][0]), IGNORE_INDEX
