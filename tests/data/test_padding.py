import pytest
import torch
from torch.utils.data import TensorDataset

from scconv_lab.data.padding import IGNORE_INDEX, Padded


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_each_sample_reaches_exactly_one_rank(world_size):
    for n in range(1, 51):
        check(n, world_size)


def check(n, world_size):
    padded = Padded(TensorDataset(torch.ones(n, 1, 2, 2), torch.arange(n)), world_size)
    shares = [[padded[i] for i in range(rank, len(padded), world_size)] for rank in range(world_size)]
    assert {len(share) for share in shares} == {-(-n // world_size)}, "all ranks do as many steps, none has none"
    labels = sorted(label for share in shares for _, label in share)
    fill = len(padded) - n
    assert labels == [IGNORE_INDEX] * fill + list(range(n))
    for share in shares:
        for image, label in share:
            assert image.shape == (1, 2, 2)
            assert bool(image.any()) is (label != IGNORE_INDEX)
