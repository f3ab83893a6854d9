"""Data modules as a trainer sets them up, and the training images that they give."""

from types import SimpleNamespace

from scconv_lab.data import Digits


def digits(stage="fit", *, world_size=1, rank=0, **kwargs):
    data = Digits(**kwargs)
    data.trainer = SimpleNamespace(world_size=world_size, global_rank=rank)
    data.setup(stage)
    return data


def looks(data, indices, epoch):
    """Training images of the samples `indices` in one epoch, in that order."""
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    seeds = dict(loader.sampler)
    return loader.collate_fn([loader.dataset[index, seeds[index]] for index in indices])[0]
