"""Order and augmentation of training samples, fixed by seed, epoch and batch.

What a batch looks like does not depend on how many workers load it, or on what torch's global generator has drawn
before; so a run resumes in the middle of an epoch by starting at its place there. What is drawn for one image follows
from that image's seed; what is drawn for a batch at once follows from the seed of its first image.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler

Key = tuple[int, int]
"""(index of a sample, seed of its looks in this epoch)."""


class EpochSampler(DistributedSampler):
    """torch's DistributedSampler, which gives each sample a seed and can start within an epoch.

    Yields (index, seed). The seed, below 2^63, follows from the run's seed, the epoch and the index.

    Args:
        dataset: What is sampled.
        seed: The run's seed.
        num_replicas: Number of processes that share the samples.
        rank: This one among them.
    """

    def __init__(self, dataset: Dataset, *, seed: int, num_replicas: int, rank: int) -> None:
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, seed=seed)
        self.start = 0
        """How many of this process's samples the next iteration leaves out."""

    def __iter__(self) -> Iterator[Key]:
        """The rest of one epoch."""
        generator = torch.Generator().manual_seed(_mix(self.seed, self.epoch))
        seeds = torch.randint(2**63 - 1, (len(self.dataset),), generator=generator)  # pyrefly: ignore[bad-argument-type]
        for index in list(super().__iter__())[self.start :]:
            yield index, int(seeds[index])


def _mix(seed: int, epoch: int) -> int:
    """Tell (0, 1) from (1, 0), as their sum would not."""
    return (seed * 0x9E3779B97F4A7C15 + epoch) % 2**63


class Keyed(Dataset[tuple[Any, Any, int]]):
    """`dataset` by the keys of `EpochSampler`: (image, label, seed). A bare index is its own seed, the same always."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)  # pyrefly: ignore[bad-argument-type]  # torch's Dataset declares no __len__

    def __getitem__(self, index: Key | int) -> tuple[Any, Any, int]:
        index, seed = index if isinstance(index, tuple) else (index, index)
        image, label = self.dataset[index]
        return image, label, seed


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator inside the block; restore its old state afterwards."""
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the GPUs too
    try:
        yield
    finally:
        torch.set_rng_state(state)


class ResumableLoader(DataLoader):
    """A DataLoader over an `EpochSampler` that knows how many batches of the epoch it has given, and can start there.

    Lightning keeps its `state_dict` in checkpoints and restores it in the middle of an epoch. What was seen is not
    loaded again. Its length stays that of a whole epoch.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.given = 0
        self._start = 0

    def __iter__(self) -> Iterator[Any]:  # pyrefly: ignore[bad-override]  # torch promises its own iterator
        """The batches of an epoch, or of the rest of one."""
        self.given, self._start = self._start, 0
        if isinstance(self.sampler, EpochSampler):
            self.sampler.start = self.given * (self.batch_size or 1)
        for batch in super().__iter__():
            self.given += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """{"batches": batches given in this epoch}."""
        return {"batches": self.given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Start the next iteration after the batches that were given."""
        self._start = state["batches"]
