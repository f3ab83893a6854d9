import pytest
import torch
from sklearn.datasets import load_digits

from scconv_lab.data import Digits


@pytest.fixture(scope="module")
def splits():
    data = Digits()
    return {split: data.load(split).tensors for split in ("train", "test")}


def test_sizes_types_and_range(splits):
    for split, n in {"train": 1437, "test": 360}.items():
        images, labels = splits[split]
        assert images.shape == (n, 1, 8, 8)
        assert images.dtype == torch.uint8
        assert (int(images.min()), int(images.max())) == (0, 255)
        assert labels.dtype == torch.int64


def test_train_and_test_are_all_of_the_source_once(splits):
    images = torch.cat([splits["train"][0], splits["test"][0]]).flatten(1)
    source = torch.from_numpy(load_digits().images).flatten(1)
    assert torch.equal((images / 255 * 16).round().double().sum(0), source.sum(0))
    assert len(images) == len(source)
    assert not {row.numpy().tobytes() for row in splits["train"][0]} & {
        row.numpy().tobytes() for row in splits["test"][0]
    }


def test_test_set_is_stratified_and_always_the_same(splits):
    counts = splits["test"][1].bincount()
    assert counts.min() >= 34
    assert counts.max() <= 38
    assert torch.equal(Digits(split_seed=7, val_size=9).load("test").tensors[0], splits["test"][0])


def test_batches_are_normalised_grey():
    data = Digits(batch_size=2000, augment=False)
    data.setup("fit")
    images, labels = next(iter(data.train_dataloader()))
    assert images.shape == (1197, 3, 8, 8)
    assert images.dtype == torch.float32
    assert torch.allclose(images[:, 0] * 1.0, images[:, 2])
    assert abs(images.mean()) < 0.01
    assert abs(images.std() - 1) < 0.01
    assert labels.unique().tolist() == list(range(10))
