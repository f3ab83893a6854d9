"""ImageNet-style folders: one folder per class under train/ and val/."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.folder import find_classes
from torchvision.transforms import v2

from scconv_lab.data.augment import FlipEach
from scconv_lab.data.base import ImageDataModule
from scconv_lab.errors import UserError

_READERS = 16
"""Threads that `inspect` waits for the disk with."""
_JPEG = b"\xff\xd8\xff\xd9"
"""The marks at the start and the end of a JPEG file."""


class ImageFolder(ImageDataModule):
    """Images under `root`/train/<class>/ and `root`/val/<class>/, as ImageNet's are usually laid out.

    The folder `val` is the test set: ImageNet's own test labels are not public, so results are reported on it, and the
    images for model choice are carved from `train` as for every other data set. Both folders must have the same
    classes. Training: a random resized crop and flip; evaluation: the shorter side resized to `image_size` / 0.875
    (256 for 224), then the centre crop. Normalised by ImageNet's statistics.

    Args:
        root: Folder that holds `train` and `val`.
        batch_size: Images in one step, over all processes together; divisible by the number of processes.
        val_size: Images of `train` that are set aside for validation and model choice.
        num_workers: Worker processes per loader; decoding is the cost here, so give it the free CPU cores.
        image_size: Height and width of the images, in pixels.
        **kwargs: See `ImageDataModule`.
    """

    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        *,
        root: str = "data/imagenet",
        batch_size: int = 256,
        val_size: int = 10_000,
        num_workers: int = 8,
        image_size: int = 224,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, val_size=val_size, num_workers=num_workers, **kwargs)
        if image_size < 1:
            raise UserError(f"`image_size` (={image_size}) must be at least 1 pixel.")
        self.image_shape = (3, image_size, image_size)

    @cached_property
    def num_classes(self) -> int:
        """Number of folders in `root`/train; UserError if there are none."""
        return len(self._classes("train"))

    def load(self, split: Literal["train", "test"]) -> datasets.ImageFolder:
        """The images of one folder, read when asked for: uint8 (3, h, w), each of its own size."""
        folder = "train" if split == "train" else "val"
        train_classes, classes = self._classes("train"), self._classes(folder)
        if odd := sorted(set(train_classes) ^ set(classes)):
            raise UserError(
                f"{self.root / 'train'} and {self.root / 'val'} must have the same class folders, and only one has "
                f"{', '.join(odd[:5])}{' ...' if len(odd) > 5 else ''}: add it to the other, or remove it from both."
            )
        try:
            return datasets.ImageFolder(self.root / folder, loader=read_rgb)
        except FileNotFoundError as error:
            raise UserError(f"{self.root / folder}: {error} Add images, or remove the class everywhere.") from error

    def inspect(self) -> str:
        """Open every image of both folders; one that does not end as a JPEG file does is decoded in full.

        There are no published checksums of these files. Damage in the middle of a JPEG file remains unseen: decoders
        give an image for it.
        """
        found = super().inspect()
        paths = [path for split in ("train", "test") for path, _ in self.load(split).samples]
        with ThreadPoolExecutor(_READERS) as readers:
            broken = [error for error in readers.map(_complaint, paths) if error]
        if broken:
            more = f" (and {len(broken) - 1:,} more)" if len(broken) > 1 else ""
            raise UserError(f"{broken[0]}{more}")
        return f"{found}; every file opens"

    def resizing(self, augment: bool) -> Callable[[Tensor], Tensor]:
        """The random resized crop, or resize and centre crop."""
        size = self.image_shape[-1]
        if augment:
            return v2.RandomResizedCrop(size)
        return v2.Compose([v2.Resize(round(size / 0.875)), v2.CenterCrop(size)])

    def augmentation(self) -> list[v2.Transform]:
        """Flip; the crop is in `resizing`, for images here differ in size."""
        return [FlipEach()]

    def _classes(self, folder: str) -> list[str]:
        try:
            return find_classes(self.root / folder)[0]
        except OSError as error:
            raise UserError(
                f"{self.root / folder} must hold one folder per class ({error}): set `root` to the folder that holds "
                "train/<class>/ and val/<class>/."
            ) from error


def _complaint(path: str) -> str | None:
    """What is wrong with an image file, told by its first and last two bytes where they are a whole JPEG's."""
    try:
        with open(path, "rb") as file:
            start = file.read(2)
            if file.seek(0, os.SEEK_END) > len(_JPEG):
                file.seek(-2, os.SEEK_END)
                if start + file.read() == _JPEG:
                    return None
        read_rgb(path)
    except OSError as error:
        return f"{path} cannot be read ({error}): replace or delete it."
    except UserError as error:
        return str(error)
    return None


def read_rgb(path: str | Path) -> Tensor:
    """One image file as uint8 (3, h, w); UserError if it is no image or is cut short."""
    try:
        with Image.open(path) as image:
            return v2.functional.pil_to_tensor(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # PIL's decoders raise all three for broken files
        raise UserError(f"{path} cannot be read as an image ({error}): replace or delete it.") from error
