"""Order and looks of training samples follow from seed, epoch and sample alone."""

import pytest
import torch
from torch.utils.data import TensorDataset

from scconv_lab.data.sampling import EpochSampler, Keyed, ResumableLoader, drawing_from
from tests.data.samples import digits, looks


def batches(loader, epoch=0):
    loader.sampler.set_epoch(epoch)
    return list(loader)


def same(ours, theirs):
    return len(ours) == len(theirs) and all(
        torch.equal(a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True)
    )


@pytest.mark.parametrize("num_workers", [0, 2])
def test_workers_and_the_global_generator_change_nothing(num_workers):
    expected = batches(digits(batch_size=200).train_dataloader(), 2)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    found = batches(digits(batch_size=200, num_workers=num_workers).train_dataloader(), 2)
    assert same(expected, found)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("given", [0, 1, 5])
def test_a_loader_goes_on_where_another_was_without_loading_what_was_seen(given, num_workers):
    whole = batches(digits(batch_size=200).train_dataloader(), 1)
    data = digits(batch_size=200, num_workers=num_workers)
    first = data.train_dataloader()
    first.sampler.set_epoch(1)
    iterator = iter(first)
    for _ in range(given):
        next(iterator)
    second = data.train_dataloader()
    second.load_state_dict(first.state_dict())
    assert same(whole[given:], batches(second, 1))
    assert len(second) == len(whole)
    assert same(batches(second, 2), batches(digits(batch_size=200).train_dataloader(), 2))  # the next epoch is whole


def test_what_was_seen_is_not_read_again():
    read = []

    class Reads(TensorDataset):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    dataset = Reads(torch.arange(10), torch.arange(10))
    sampler = EpochSampler(dataset, seed=0, num_replicas=1, rank=0)
    loader = ResumableLoader(Keyed(dataset), batch_size=2, sampler=sampler)
    loader.load_state_dict({"batches": 3})
    assert len(list(loader)) == 2
    assert len(read) == 4


def test_seed_and_epoch_are_told_apart():
    def drawn(seed, epoch):
        sampler = EpochSampler(TensorDataset(torch.arange(50)), seed=seed, num_replicas=1, rank=0)
        sampler.set_epoch(epoch)
        return dict(sampler)

    assert drawn(0, 1) != drawn(1, 0)
    assert drawn(0, 1) == drawn(0, 1)
    assert len({*drawn(0, 0).values(), *drawn(0, 1).values()}) == 100


def test_looks_are_the_same_again_and_others_in_another_epoch():
    data = digits(batch_size=200)
    assert torch.equal(looks(data, list(range(64)), 0), looks(data, list(range(64)), 0))
    assert not torch.equal(looks(data, list(range(64)), 0), looks(data, list(range(64)), 1))


def test_drawing_from_a_seed_leaves_the_generator_alone_on_an_error_too():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), drawing_from(3):
        torch.rand(5).view(2)
    assert torch.equal(torch.get_rng_state(), before)
    with drawing_from(3):
        first = torch.rand(5)
    with drawing_from(3):
        assert torch.equal(first, torch.rand(5))
