"""What holds for every data set, seen through the smallest one."""

import os

import lightning.pytorch as pl
import pytest
import torch

from scconv_lab.data import CIFAR10, CIFAR100, IGNORE_INDEX, Digits, FashionMNIST, ImageFolder
from scconv_lab.errors import UserError
from tests.data.samples import digits, looks


def labels_of(loader):
    return torch.cat([labels for _, labels in loader])


@pytest.mark.parametrize("module", [Digits, FashionMNIST, CIFAR10, CIFAR100])
def test_shape_and_classes_are_known_before_any_file_is_read(module, tmp_path):
    data = module(root=str(tmp_path / "nowhere"))
    assert data.num_classes == (100 if module is CIFAR100 else 10)
    assert len(data.image_shape) == 3
    assert data.image_shape[0] == 3


def test_every_data_set_takes_the_same_arguments(tmp_path):
    for module in (Digits, FashionMNIST, CIFAR10, CIFAR100, ImageFolder):
        module(root=str(tmp_path), batch_size=8, val_size=4, split_seed=1, augment=False, num_workers=0)


def test_works_without_a_trainer():
    data = Digits()
    data.setup("fit")
    images, labels = next(iter(data.train_dataloader()))
    assert images.shape == (128, 3, 8, 8)
    assert labels.shape == (128,)


@pytest.mark.parametrize("val_size", [-1, 1437, 5000, 1.0, 240.0, -0.1, 0.9999])
def test_val_size_out_of_range(val_size):
    with pytest.raises(UserError, match=rf"`val_size` \(={val_size}\) .* 1437 training images"):
        digits(val_size=val_size)


@pytest.mark.parametrize(("val_size", "count"), [(1, 1), (240, 240), (0.5, 718), (0.0001, 1)])
def test_val_size_is_a_number_or_a_share(val_size, count):
    data = digits(val_size=val_size)
    assert (len(data.val_set), len(data.train_set)) == (count, 1437 - count)


def test_without_a_validation_set_all_images_are_trained_on():
    data = digits(val_size=0)
    assert len(data.train_set) == 1437
    assert data.val_dataloader() == []
    with pytest.raises(UserError, match=r"`val_size` \(=0\) leaves no validation images to predict"):
        data.predict_dataloader()


@pytest.mark.parametrize("argument", [{"batch_size": 0}, {"num_workers": -1}])
def test_impossible_loader_arguments(argument):
    with pytest.raises(UserError, match=next(iter(argument))):
        Digits(**argument)


def test_batch_size_must_divide_among_processes():
    with pytest.raises(UserError, match=r"`batch_size` \(=64\).*\(=3\); choose 63, say"):
        digits(batch_size=64, world_size=3).train_dataloader()
    with pytest.raises(UserError, match=r"choose 3, say"):
        digits(batch_size=2, world_size=3).val_dataloader()


def test_batch_size_counts_all_processes():
    for world_size in (1, 2, 4):
        images, _ = next(iter(digits(batch_size=64, world_size=world_size).train_dataloader()))
        assert len(images) == 64 // world_size


def test_split_is_disjoint_complete_and_the_same_under_any_run_seed(monkeypatch):
    splits = []
    for seed in (0, 1):
        monkeypatch.setenv("PL_GLOBAL_SEED", str(seed))
        torch.manual_seed(seed)
        data = digits()
        splits.append((data.train_set.indices, data.val_set.indices))
    assert splits[0] == splits[1]
    train, val = splits[0]
    assert len(val) == 240
    assert sorted(train + val) == list(range(1437))
    assert digits(split_seed=1).val_set.indices != val


def epoch_order(data, epoch):
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader.sampler)


def test_training_order_follows_the_run_seed_and_the_epoch(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    data = digits()
    first = epoch_order(data, 0)
    assert first == epoch_order(data, 0)
    assert first != epoch_order(data, 1)
    assert sorted(index for index, _ in first) == list(range(1197))
    monkeypatch.setenv("PL_GLOBAL_SEED", "2")
    assert first != epoch_order(data, 0)


def test_processes_share_out_one_training_order():
    whole = epoch_order(digits(), 3)
    shares = [epoch_order(digits(world_size=3, rank=rank, batch_size=126), 3) for rank in range(3)]
    assert [index for together in zip(*shares, strict=True) for index in together] == whole


def test_only_training_images_are_augmented():
    data = digits()
    (val, _), (again, _) = (next(iter(data.val_dataloader())) for _ in range(2))
    assert torch.equal(val, again)
    indices = list(range(64))
    first, second = (looks(data, indices, epoch) for epoch in (0, 1))
    assert not torch.equal(first, second)
    plain = digits(augment=False)
    assert torch.equal(next(iter(plain.train_dataloader()))[0], next(iter(plain.train_dataloader()))[0])


def test_workers_give_the_same_evaluation_batches():
    by_worker, here = (list(digits(num_workers=n).val_dataloader()) for n in (1, 0))
    assert len(by_worker) == len(here) == 2
    for ours, theirs in zip(here, by_worker, strict=True):
        assert all(map(torch.equal, ours, theirs))


@pytest.mark.parametrize("world_size", [2, 7])
def test_evaluation_on_several_processes_counts_each_image_once(world_size):
    whole = labels_of(digits("test").test_dataloader())
    assert len(whole) == 360
    loaders = [
        digits("test", world_size=world_size, rank=rank, batch_size=4 * world_size).test_dataloader()
        for rank in range(world_size)
    ]
    assert len({len(loader) for loader in loaders}) == 1
    together = torch.cat([labels_of(loader) for loader in loaders])
    assert torch.equal(together[together != IGNORE_INDEX].sort().values, whole.sort().values)


class Recorder(pl.LightningModule):
    """Counts what the loops hand it."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {"train": [], "val": [], "test": [], "predict": []}

    def training_step(self, batch, _):
        self.seen["train"].append(batch[1])
        return self.weight * batch[0].mean()

    def validation_step(self, batch, _):
        self.seen["val"].append(batch[1])

    def test_step(self, batch, batch_idx):
        self.seen["test"].append(batch[1])

    def predict_step(self, batch, _):
        self.seen["predict"].append(batch[1])
        return batch[1]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_lightning_runs_all_four_loops(monkeypatch):
    monkeypatch.setitem(os.environ, "PL_GLOBAL_SEED", "0")
    read = []
    load = Digits.load
    monkeypatch.setattr(Digits, "load", lambda self, split: read.append(split) or load(self, split))
    trainer = pl.Trainer(
        barebones=True, max_epochs=2, num_sanity_val_steps=0, accelerator="cpu", use_distributed_sampler=False
    )
    model, data = Recorder(), Digits()
    trainer.fit(model, data)
    trainer.validate(model, data, verbose=False)
    trainer.predict(model, data, return_predictions=False)
    assert set(read) == {"train"}, "the test set is for `test` alone"
    trainer.test(model, data, verbose=False)
    seen = {stage: torch.cat(labels) for stage, labels in model.seen.items()}
    assert {stage: len(labels) for stage, labels in seen.items()} == {
        "train": 2 * 1197,
        "val": 3 * 240,
        "test": 360,
        "predict": 240,
    }
    first, second = seen["train"].chunk(2)
    assert not torch.equal(first, second), "Lightning tells the sampler its epoch"
    assert torch.equal(first.sort().values, second.sort().values)
