"""Fashion-MNIST, from the user's folder, from Debian's package, or downloaded."""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import TensorDataset
from torchvision import datasets
from torchvision.transforms import v2

from scconv_lab.data.augment import CropEach, FlipEach
from scconv_lab.data.base import ImageDataModule
from scconv_lab.data.download import download_into
from scconv_lab.errors import UserError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SIZES = {"train": 60_000, "t10k": 10_000}


class FashionMNIST(ImageDataModule):
    """60,000 + 10,000 grey images of clothes, 28 x 28 pixels, 10 classes (Xiao et al., arXiv:1708.07747).

    The four IDX files are read as they lie, gzipped or not, from the first of `root`/FashionMNIST/raw, `root` and
    /usr/share/datasets/fashion-mnist (Debian's package dataset-fashion-mnist) that has any of them; if none has, they
    are downloaded into the first. torchvision's own class knows neither gzipped files nor truncated ones, and the
    Debian files' checksums are others than upstream's; so each file is checked here by its header and its length.
    Augmentation: random crop after padding by 4 pixels, and flip (as in Random Erasing, arXiv:1708.04896).

    Args:
        val_size: Images out of the 60,000 for training that are set aside for validation.
        download: Whether to download the files (30 MB) where none are found.
        **kwargs: See `ImageDataModule`.
    """

    num_classes = 10
    image_shape = (3, 28, 28)
    mean = (0.2860,)
    std = (0.3530,)

    def __init__(self, *, val_size: int = 5_000, download: bool = True, **kwargs: Any) -> None:
        super().__init__(val_size=val_size, **kwargs)
        self.download = download
        self.places = (self.root / "FashionMNIST" / "raw", self.root, DEBIAN)

    def prepare_data(self) -> None:
        """Download the files where none are found."""
        if self.download and self._folder() is None:
            with download_into(self.root / "FashionMNIST", datasets.FashionMNIST.mirrors[0]) as folder:
                datasets.FashionMNIST(folder, download=True)

    def load(self, split: Literal["train", "test"]) -> TensorDataset:
        """The 60,000 or the 10,000 images: uint8 (1, 28, 28)."""
        folder = self._folder()
        if folder is None:
            raise UserError(
                f"No file of Fashion-MNIST in {', '.join(map(str, self.places))}: set `download` to true, `root` to "
                "the folder of the four IDX files, or install Debian's package dataset-fashion-mnist."
            )
        part = "train" if split == "train" else "t10k"
        images = read_idx(_file(folder, f"{part}-images-idx3-ubyte"), SIZES[part], 28, 28)
        path = _file(folder, f"{part}-labels-idx1-ubyte")
        labels = read_idx(path, SIZES[part])
        if labels.max() > 9:
            raise UserError(f"{path} holds the label {int(labels.max())}, and labels are 0..9: {_REPLACE}")
        return TensorDataset(images.unsqueeze(1), labels.long())

    def augmentation(self) -> list[v2.Transform]:
        """Crop and flip."""
        return [CropEach(padding=4), FlipEach()]

    def _folder(self) -> Path | None:
        return next((place for place in self.places if any(place.glob("t*-idx[13]-ubyte*"))), None)


_REPLACE = "replace it by a good copy, or delete the folder's Fashion-MNIST files to have them fetched anew."


def _file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(f"{folder / name}[.gz] is missing beside other files of Fashion-MNIST: {_REPLACE}")


def read_idx(path: Path, *shape: int) -> Tensor:
    """The uint8 tensor of `shape` in an IDX file, gzipped if its name ends in .gz; UserError for any other content.

    The format (http://yann.lecun.com/exdb/mnist/): two zero bytes, 8 for unsigned bytes, the number of dimensions,
    each dimension as a big-endian 32-bit integer, and the bytes.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}): {_REPLACE}") from error
    header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    if not content.startswith(header):
        found, wanted = content[: len(header)].hex(" ", 4), header.hex(" ", 4)
        raise UserError(f"{path} starts with {found}, not with {wanted}, the IDX header of {shape}: {_REPLACE}")
    if len(content) != len(header) + math.prod(shape):
        raise UserError(
            f"{path} holds {len(content):,} bytes, not the {len(header) + math.prod(shape):,} of {shape}: {_REPLACE}"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=len(header)).view(shape)
