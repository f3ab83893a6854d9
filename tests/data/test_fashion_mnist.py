"""Fashion-MNIST from small fakes of its four files, and from Debian's package where it is installed."""

import gzip
import hashlib
import shutil
import struct

import pytest
import torch
from torchvision import datasets

from scconv_lab.data import FashionMNIST, fashion_mnist
from scconv_lab.errors import UserError

SIZES = {"train": 60, "t10k": 10}
DEBIAN = fashion_mnist.DEBIAN


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path, request):
    if "real" not in request.node.name:
        monkeypatch.setattr(fashion_mnist, "SIZES", SIZES)
        sums = {name: hashlib.md5(idx(*name.split("-")[:2])).hexdigest() for name in fashion_mnist.MD5}
        monkeypatch.setattr(fashion_mnist, "MD5", sums)
        monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")


def idx(part, kind, *, value=None):
    n = SIZES[part]
    shape = (n, 28, 28) if kind == "images" else (n,)
    header = struct.pack(f">I{len(shape)}I", 0x800 + len(shape), *shape)
    body = bytes(range(n)) if kind == "images" else bytes(i % 10 for i in range(n))
    if kind == "images":
        body = b"".join(bytes([i]) * 784 for i in range(n))
    return header + (body if value is None else bytes([value]) * len(body))


def write(folder, *, zipped=True, parts=("train", "t10k")):
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        for kind, dims in (("images", 3), ("labels", 1)):
            name = f"{part}-{kind}-idx{dims}-ubyte"
            if zipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(idx(part, kind)))
            else:
                (folder / name).write_bytes(idx(part, kind))
    return folder


def module(root, **kwargs):
    return FashionMNIST(root=str(root), **{"val_size": 20, "download": False, **kwargs})


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["root/FashionMNIST/raw", "root", "debian"])
def test_reads_every_place_gzipped_or_not(tmp_path, place, zipped):
    write(tmp_path / place, zipped=zipped)
    data = module(tmp_path / "root", download=True)
    data.prepare_data()  # finds the files and downloads nothing
    images, labels = data.load("train").tensors
    assert images.shape == (60, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert images[:, 0, 5, 5].tolist() == list(range(60))
    assert labels.tolist() == [i % 10 for i in range(60)]
    assert len(data.load("test")) == 10


def test_batches(tmp_path):
    write(tmp_path)
    data = module(tmp_path, batch_size=16)
    data.setup("fit")
    images, labels = next(iter(data.train_dataloader()))
    assert images.shape == (16, 3, 28, 28)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert len(data.train_set) == 40
    assert len(data.val_set) == 20


def test_fit_does_without_the_test_files(tmp_path):
    write(tmp_path, parts=["train"])
    data = module(tmp_path)
    data.prepare_data()
    data.setup("fit")
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte\[\.gz\] is missing"):
        data.setup("test")


def test_test_does_without_the_training_files(tmp_path):
    write(tmp_path, parts=["t10k"])
    data = module(tmp_path)
    data.setup("test")
    assert sum(len(labels) for _, labels in data.test_dataloader()) == 10


def test_missing_everywhere_names_every_place_and_the_ways_out(tmp_path):
    data = module(tmp_path / "root")
    data.prepare_data()
    with pytest.raises(UserError, match="dataset-fashion-mnist") as error:
        data.setup("fit")
    assert str(tmp_path / "root/FashionMNIST/raw") in str(error.value)
    assert str(tmp_path / "debian") in str(error.value)
    assert "`download`" in str(error.value)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (f"{IMAGES}.gz", gzip.compress(idx("train", "images"), mtime=0)[:-20], "cannot be read"),
        (f"{IMAGES}.gz", gzip.compress(idx("train", "images"), mtime=0)[:-4], "cannot be read"),
        (f"{IMAGES}.gz", idx("train", "images"), "cannot be read"),
        (f"{IMAGES}.gz", b"", "another MD5 sum"),
        (f"{IMAGES}.gz", gzip.compress(idx("t10k", "images"), mtime=0), "another MD5 sum"),
        (IMAGES, idx("train", "images")[:-1], "another MD5 sum"),
        (IMAGES, idx("train", "images") + b"\0", "another MD5 sum"),
        (LABELS, idx("train", "labels", value=10), "another MD5 sum"),
    ],
    ids=["cut", "no length", "not gzipped", "empty", "another part", "a byte less", "a byte more", "another label"],
)
def test_truncated_or_wrong_file(tmp_path, name, content, reason):
    write(tmp_path)
    (tmp_path / f"{name.removesuffix('.gz')}.gz").unlink()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=reason) as error:
        module(tmp_path).setup("fit")
    assert str(tmp_path / name) in str(error.value)
    assert "replace it" in str(error.value)


@pytest.fixture
def mirror(monkeypatch, tmp_path, serve):
    folder = write(tmp_path / "mirror")
    sums = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in sorted(folder.iterdir())]
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [serve(folder)])
    monkeypatch.setattr(datasets.FashionMNIST, "resources", sums)
    return folder


def test_download(tmp_path, mirror):
    data = module(tmp_path / "root", download=True)
    data.prepare_data()
    shutil.rmtree(mirror)
    data.prepare_data()  # nothing is left to do
    data.setup("fit")
    assert len(data.train_set) == 40
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["FashionMNIST"]


@pytest.mark.parametrize("damage", ["truncated", "offline"])
def test_failed_download_leaves_nothing(tmp_path, mirror, monkeypatch, damage):
    last = sorted(mirror.iterdir())[-1]
    last.write_bytes(last.read_bytes()[:-1])
    if damage == "offline":
        monkeypatch.setattr(datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])  # refused: the discard port
    with pytest.raises(UserError, match="could not be downloaded") as error:
        module(tmp_path / "root", download=True).prepare_data()
    assert str(tmp_path / "root/FashionMNIST") in str(error.value)
    assert datasets.FashionMNIST.mirrors[0] in str(error.value)
    assert not list((tmp_path / "root").iterdir())


def test_what_a_killed_download_leaves_is_not_read(tmp_path, mirror):
    write(tmp_path / "root/.FashionMNIST-k1ll/FashionMNIST/raw", zipped=False)
    with pytest.raises(UserError, match="No file of Fashion-MNIST"):
        module(tmp_path / "root").load("train")
    module(tmp_path / "root", download=True).prepare_data()
    assert len(module(tmp_path / "root").load("train")) == 60


@pytest.mark.skipif(not DEBIAN.is_dir(), reason=f"Debian's dataset-fashion-mnist is not installed in {DEBIAN}")
def test_real_files_of_debian(tmp_path):
    data = FashionMNIST(root=str(tmp_path))
    data.prepare_data()
    assert not list(tmp_path.iterdir()), "nothing was downloaded"
    for split, n in {"train": 60_000, "test": 10_000}.items():
        images, labels = data.load(split).tensors
        assert images.shape == (n, 1, 28, 28)
        assert labels.bincount().tolist() == [n // 10] * 10
    images = data.load("train").tensors[0] / 255
    assert images.mean().item() == pytest.approx(data.mean[0], abs=1e-4)
    assert images.std().item() == pytest.approx(data.std[0], abs=1e-4)


def test_inspection_counts_and_fetches_nothing(tmp_path, mirror):
    data = module(tmp_path / "root", download=True)
    assert datasets.FashionMNIST.mirrors[0] in data.to_fetch()
    assert module(tmp_path / "root").to_fetch() is None
    write(tmp_path / "root")
    assert data.to_fetch() is None
    assert data.inspect() == "60 images to train and validate on, 10 to test"
