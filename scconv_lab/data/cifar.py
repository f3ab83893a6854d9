"""CIFAR-10 and CIFAR-100, from the user's folder or downloaded, with the paper's augmentation."""

import io
import pickle
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch.utils.data import TensorDataset
from torchvision import datasets
from torchvision.datasets.utils import check_integrity, download_and_extract_archive
from torchvision.transforms import v2

from scconv_lab.data.augment import CropEach, FlipEach
from scconv_lab.data.base import ImageDataModule
from scconv_lab.data.checksums import require_md5
from scconv_lab.data.download import download_into
from scconv_lab.errors import UserError

_ARRAYS = {
    "numpy": ("ndarray", "dtype"),
    "numpy.core.multiarray": ("_reconstruct",),
    "numpy._core.multiarray": ("_reconstruct",),
}
"""What the original's files name: what NumPy needs to make an array."""


class _Arrays(pickle.Unpickler):
    """Reads arrays, lists and texts, and refuses all else that a pickle can name, as it could run any code."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in _ARRAYS.get(module, ()):
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


class CIFAR10(ImageDataModule):
    """50,000 + 10,000 colour images of 32 x 32 pixels, 10 classes (Krizhevsky, 2009).

    Read from `root`/cifar-10-batches-py; where that folder is missing, from the archive `root`/cifar-10-python.tar.gz,
    and where that is missing too, downloaded. Every file read is checked by torchvision's MD5 sum, computed once
    (`scconv_lab.data.checksums`). Augmentation, as in
    the paper: random crop after padding by 4 pixels, and flip.

    Args:
        val_size: Images out of the 50,000 for training that are set aside for validation.
        download: Whether to download the archive (170 MB) where neither folder nor archive is found.
        **kwargs: See `ImageDataModule`.
    """

    num_classes = 10
    image_shape = (3, 32, 32)
    mean = (0.4914, 0.4822, 0.4465)
    std = (0.2470, 0.2435, 0.2616)
    source: ClassVar[type[datasets.CIFAR10]] = datasets.CIFAR10
    labels_key: ClassVar[str] = "labels"

    def __init__(self, *, val_size: int | float = 5_000, download: bool = True, **kwargs: Any) -> None:
        super().__init__(val_size=val_size, **kwargs)
        self.download = download
        self.folder = self.root / self.source.base_folder

    def to_fetch(self) -> str | None:
        """The archive, where the folder is missing."""
        if self.folder.exists():
            return None
        if self._archive_is_whole():
            return f"extracts {self.root / self.source.filename}"
        return f"downloads {self.source.url} (170 MB) to {self.root}" if self.download else None

    def _archive_is_whole(self) -> bool:
        return check_integrity(self.root / self.source.filename, self.source.tgz_md5)

    def prepare_data(self) -> None:
        """Extract, or download and extract, where the folder is missing.

        torchvision's own download leaves a broken extraction in the data folder, and takes one that lacks only the
        class names for whole.
        """
        if self.to_fetch():
            kept = self._archive_is_whole()
            with download_into(self.folder, self.source.url) as folder:
                download_and_extract_archive(
                    self.source.url,
                    self.root if kept else folder,
                    extract_root=folder,
                    filename=self.source.filename,
                    md5=self.source.tgz_md5,
                )

    def load(self, split: Literal["train", "test"]) -> TensorDataset:
        """The 50,000 or the 10,000 images: uint8 (3, 32, 32)."""
        if not self.folder.is_dir():
            raise UserError(
                f"{self.folder} is missing: set `download` to true, or `root` to the folder that holds it or a whole "
                f"{self.source.filename} ({self.source.url})."
            )
        images, labels = [], []
        for name, md5 in self.source.train_list if split == "train" else self.source.test_list:
            path = self.folder / name
            remedy = f"delete {self.folder} to have it extracted or downloaded anew."
            require_md5(path, md5, remedy=remedy)
            try:
                batch = _Arrays(io.BytesIO(path.read_bytes()), encoding="latin1").load()
            except Exception as error:  # a kept sum that is forged; pickle raises many kinds
                raise UserError(f"{path} is not one of the original's files ({error}): {remedy}") from error
            images.append(batch["data"])
            labels += batch[self.labels_key]
        return TensorDataset(torch.from_numpy(np.concatenate(images)).view(-1, 3, 32, 32), torch.tensor(labels))

    def augmentation(self) -> list[v2.Transform]:
        """A random crop out of 4 pixels of padding, then a random horizontal flip."""
        return [CropEach(padding=4), FlipEach()]


class CIFAR100(CIFAR10):
    """50,000 + 10,000 colour images of 32 x 32 pixels, 100 classes (Krizhevsky, 2009).

    Read from `root`/cifar-100-python; where that folder is missing, from the archive `root`/cifar-100-python.tar.gz,
    and where that is missing too, downloaded. Checks and augmentation are CIFAR-10's.

    Args:
        val_size: Images out of the 50,000 for training that are set aside for validation.
        download: Whether to download the archive (169 MB) where neither folder nor archive is found.
        **kwargs: See `ImageDataModule`.
    """

    num_classes = 100
    mean = (0.5071, 0.4865, 0.4409)
    std = (0.2673, 0.2564, 0.2762)
    source = datasets.CIFAR100
    labels_key = "fine_labels"
