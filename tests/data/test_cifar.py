"""CIFAR from small fakes of its archive, with torchvision's lists of MD5 sums replaced by the fakes'."""

import hashlib
import pickle
import shutil
import tarfile

import numpy as np
import pytest
import torch

from scconv_lab.data import CIFAR10, CIFAR100
from scconv_lab.errors import UserError


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture(params=[CIFAR10, CIFAR100])
def cifar(request, monkeypatch, tmp_path, serve):
    """A module class whose original archive is a small one in tmp_path/server, 10 images a file."""
    module, source = request.param, request.param.source
    server = tmp_path / "server"
    folder = server / source.base_folder
    folder.mkdir(parents=True)
    for attribute in ("train_list", "test_list"):
        files = []
        for k, (name, _) in enumerate(getattr(source, attribute)):
            pixels = np.full((10, 3072), k, dtype=np.uint8)
            pixels[:, 0] = 200  # red, top left
            batch = {"data": pixels, "labels": list(range(10)), "fine_labels": list(range(90, 100))}
            (folder / name).write_bytes(pickle.dumps(batch))
            files.append([name, md5(folder / name)])
        monkeypatch.setattr(source, attribute, files)
    (folder / source.meta["filename"]).write_bytes(pickle.dumps({}))
    archive = server / source.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, source.base_folder)
    shutil.rmtree(folder)
    monkeypatch.setattr(source, "url", serve(server) + source.filename)
    monkeypatch.setattr(source, "tgz_md5", md5(archive))
    return module


def module(cifar, root, **kwargs):
    return cifar(root=str(root), **{"val_size": 3, **kwargs})


def test_download_and_read(cifar, tmp_path):
    data = module(cifar, tmp_path / "root", batch_size=4)
    data.prepare_data()
    assert [path.name for path in (tmp_path / "root").iterdir()] == [cifar.source.base_folder]
    images, labels = data.load("train").tensors
    assert images.shape == (10 * len(cifar.source.train_list), 3, 32, 32)
    assert images.dtype == torch.uint8
    assert images[0, :, 0, 0].tolist() == [200, 0, 0]
    assert labels[:10].tolist() == list(range(10) if cifar is CIFAR10 else range(90, 100))
    data.setup("fit")
    images, _ = next(iter(data.train_dataloader()))
    assert images.shape == (4, 3, 32, 32)
    assert images.dtype == torch.float32


def test_nothing_is_fetched_twice(cifar, tmp_path):
    data = module(cifar, tmp_path / "root")
    data.prepare_data()
    shutil.rmtree(tmp_path / "server")
    data.prepare_data()
    data.setup("test")
    assert len(data.test_set) == 10


def test_normalisation(cifar, tmp_path):
    data = module(cifar, tmp_path / "root")
    data.prepare_data()
    data.setup("test")
    images, _ = next(iter(data.test_dataloader()))
    black = -torch.tensor(data.mean) / torch.tensor(data.std)
    assert torch.allclose(images[0, :, 1, 1], black)
    assert images[0, 0, 0, 0].item() == pytest.approx((200 / 255 - data.mean[0]) / data.std[0], abs=1e-5)


def test_an_archive_in_root_is_enough_without_download(cifar, tmp_path):
    root = tmp_path / "root"
    shutil.move(tmp_path / "server", root)
    data = module(cifar, root, download=False)
    data.prepare_data()
    data.setup("fit")
    assert (root / cifar.source.filename).exists(), "the user's archive stays"


def test_a_truncated_archive_in_root_is_not_used(cifar, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / cifar.source.filename).write_bytes((tmp_path / "server" / cifar.source.filename).read_bytes()[:-9])
    data = module(cifar, root, download=False)
    data.prepare_data()
    with pytest.raises(UserError, match="is missing: set `download`") as error:
        data.setup("fit")
    assert str(root / cifar.source.base_folder) in str(error.value)
    module(cifar, root).prepare_data()
    data.setup("fit")


def test_fit_never_opens_the_test_files(cifar, tmp_path):
    data = module(cifar, tmp_path / "root")
    data.prepare_data()
    for name, _ in cifar.source.test_list:
        (data.folder / name).unlink()
    data.setup("fit")
    with pytest.raises(UserError, match="is missing: delete"):
        data.setup("test")


def test_damaged_file_names_it_and_the_way_out(cifar, tmp_path):
    data = module(cifar, tmp_path / "root")
    data.prepare_data()
    path = data.folder / cifar.source.train_list[-1][0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="another MD5 sum") as error:
        data.setup("fit")
    assert str(path) in str(error.value)
    shutil.rmtree(data.folder)  # the way out that the message names
    data.prepare_data()
    data.setup("fit")


def test_a_file_of_a_forged_sum_runs_no_code(cifar, tmp_path, monkeypatch):

    class Evil:
        def __reduce__(self):
            return (tmp_path / "ran").touch, ()

    data = module(cifar, tmp_path / "root")
    data.prepare_data()
    name = cifar.source.train_list[0][0]
    path = data.folder / name
    path.write_bytes(pickle.dumps(Evil()))
    forged = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(cifar.source, "train_list", [[name, forged], *cifar.source.train_list[1:]])
    with pytest.raises(UserError, match=rf"{name} is not one of the original's files \(it names .*\): delete "):
        data.load("train")
    assert not (tmp_path / "ran").exists()


def test_no_network_is_one_message(cifar, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar.source, "url", "http://127.0.0.1:9/cifar.tar.gz")  # refused: the discard port
    with pytest.raises(UserError, match="could not be downloaded") as error:
        module(cifar, tmp_path / "root").prepare_data()
    assert str(tmp_path / "root" / cifar.source.base_folder) in str(error.value)
    assert cifar.source.url in str(error.value)
    assert not list((tmp_path / "root").iterdir())


def test_truncated_download(cifar, tmp_path):
    archive = tmp_path / "server" / cifar.source.filename
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(UserError, match="could not be downloaded"):
        module(cifar, tmp_path / "root").prepare_data()
    assert not list((tmp_path / "root").iterdir())


def test_archive_that_breaks_off_while_extracting(cifar, tmp_path, monkeypatch):
    archive = tmp_path / "server" / cifar.source.filename
    archive.write_bytes(archive.read_bytes()[:-30])
    monkeypatch.setattr(cifar.source, "tgz_md5", md5(archive))
    with pytest.raises(UserError, match="could not be downloaded"):
        module(cifar, tmp_path / "root").prepare_data()
    assert not list((tmp_path / "root").iterdir())


def test_interrupted_extraction_leaves_nothing_and_can_be_repeated(cifar, tmp_path, monkeypatch):
    def extract_one_file(tar, path, **kwargs):
        for member in tar.getmembers()[:2]:
            tar.extract(member, path, filter="data")
        raise KeyboardInterrupt

    data = module(cifar, tmp_path / "root")
    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extractall", extract_one_file)
        with pytest.raises(KeyboardInterrupt):
            data.prepare_data()
    assert not list((tmp_path / "root").iterdir())
    data.prepare_data()
    data.setup("fit")


def test_damage_is_found_at_every_start(cifar, tmp_path):
    data = module(cifar, tmp_path / "root")
    data.prepare_data()
    data.setup("fit")
    path = data.folder / cifar.source.train_list[0][0]
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(UserError, match="another MD5 sum"):
        module(cifar, tmp_path / "root").setup("fit")


def test_inspection_reads_both_splits_and_fetches_nothing(cifar, tmp_path):
    data = module(cifar, tmp_path / "root")
    assert cifar.source.url in data.to_fetch()
    with pytest.raises(UserError, match="is missing: set `download`"):
        data.inspect()
    assert not (tmp_path / "root").exists()
    data.prepare_data()
    assert data.to_fetch() is None
    assert data.inspect() == f"{10 * len(cifar.source.train_list)} images to train and validate on, 10 to test"


def test_a_whole_archive_is_extracted_and_not_fetched(cifar, tmp_path):
    data = module(cifar, tmp_path / "server", download=False)
    assert data.to_fetch() == f"extracts {tmp_path / 'server' / cifar.source.filename}"
    assert module(cifar, tmp_path / "root", download=False).to_fetch() is None
