"""Fashion-MNIST, from the user's folder, from Debian's package, or downloaded."""

import gzip
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import TensorDataset
from torchvision import datasets
from torchvision.transforms import v2

from scconv_lab.data.augment import CropEach, FlipEach
from scconv_lab.data.base import ImageDataModule
from scconv_lab.data.checksums import require_md5
from scconv_lab.data.download import download_into
from scconv_lab.errors import UserError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SIZES = {"train": 60_000, "t10k": 10_000}
MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
"""Of the unzipped files, which Debian's package and upstream's archives agree in."""

_REPLACE = "replace it by a good copy, or delete the folder's Fashion-MNIST files to have them fetched anew."


class FashionMNIST(ImageDataModule):
    """60,000 + 10,000 grey images of clothes, 28 x 28 pixels, 10 classes (Xiao et al., arXiv:1708.07747).

    The four IDX files are read as they lie, gzipped or not, from the first of `root`/FashionMNIST/raw, `root` and
    /usr/share/datasets/fashion-mnist (Debian's package dataset-fashion-mnist) that has any of them; if none has, they
    are downloaded into the first. Every file read is checked by its MD5 sum, computed once
    (`scconv_lab.data.checksums`); torchvision's own class knows neither gzipped files nor truncated ones.
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

    def __init__(self, *, val_size: int | float = 5_000, download: bool = True, **kwargs: Any) -> None:
        super().__init__(val_size=val_size, **kwargs)
        self.download = download
        self.places = (self.root / "FashionMNIST" / "raw", self.root, DEBIAN)

    def to_fetch(self) -> str | None:
        """The files, where none are found."""
        if not self.download or self._folder():
            return None
        return f"downloads {datasets.FashionMNIST.mirrors[0]} (30 MB) to {self.root}"

    def prepare_data(self) -> None:
        """Download the files where none are found."""
        if self.to_fetch():
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
        images = self._read(folder, f"{part}-images-idx3-ubyte", SIZES[part], 28, 28)
        labels = self._read(folder, f"{part}-labels-idx1-ubyte", SIZES[part])
        return TensorDataset(images.unsqueeze(1), labels.long())

    def _read(self, folder: Path, name: str, *shape: int) -> Tensor:
        """The uint8 tensor of `shape` in an IDX file, whose header is 4 bytes and 4 for each dimension."""
        path = next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
        if path is None:
            raise UserError(f"{folder / name}[.gz] is missing, and other files of Fashion-MNIST are there: {_REPLACE}")
        require_md5(path, MD5[name], remedy=_REPLACE)
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = bytearray(file.read())
        return torch.frombuffer(content, dtype=torch.uint8, offset=4 + 4 * len(shape)).view(shape)

    def augmentation(self) -> list[v2.Transform]:
        """A random crop out of 4 pixels of padding, then a random horizontal flip."""
        return [CropEach(padding=4), FlipEach()]

    def _folder(self) -> Path | None:
        return next((place for place in self.places if any(place.glob("t*-idx[13]-ubyte*"))), None)
