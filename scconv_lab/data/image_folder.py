"""ImageNet-style folders: one folder per class under train/ and val/."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from scconv_lab.data.augment import FlipEach
from scconv_lab.data.base import ImageDataModule
from scconv_lab.data.folder_files import class_names, image_files
from scconv_lab.data.image_file import read_rgb
from scconv_lab.errors import UserError

_SHARE, _MOST_VAL = 0.1, 10_000
_READERS = 16
"""Threads that `inspect` waits for the disk with."""
_JPEG = b"\xff\xd8\xff\xd9"
"""The marks at the start and the end of a JPEG file."""


class ImageFolder(ImageDataModule):
    """Images under `root`/train/<class>/ and `root`/val/<class>/, as ImageNet's are usually laid out.

    The folder `val` is the test set: ImageNet's own test labels are not public, so results are reported on it, and
    the images for model choice are carved from `train` as for every other data set. Both folders must have the same
    classes. Files are known as images by their ending or content (see `scconv_lab.data.image_file`, also for 16-bit
    pixels and the turn that EXIF notes); others are skipped and counted. Hidden files and folders, and what macOS,
    Windows and notebooks leave, do not count. Training: a random resized crop and flip; evaluation: the shorter
    side resized to `image_size` / 0.875 (256 for 224), then the centre crop. Normalised by ImageNet's statistics.

    Args:
        root: Folder that holds `train` and `val`.
        batch_size: Images in one step, over all processes together; divisible by the number of processes.
        val_size: Images of `train` that are set aside for validation and model choice: a number, or a share between 0
            and 1; null is a tenth, and at most 10,000.
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
        val_size: int | float | None = None,
        num_workers: int = 8,
        image_size: int = 224,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            root=root,
            batch_size=batch_size,
            val_size=_SHARE if val_size is None else val_size,
            num_workers=num_workers,
            **kwargs,
        )
        self.most_val = _MOST_VAL if val_size is None else None
        if image_size < 1:
            raise UserError(f"`image_size` (={image_size}) must be at least 1 pixel.")
        self.image_shape = (3, image_size, image_size)

    @cached_property
    def num_classes(self) -> int:
        """Number of folders in `root`/train; UserError if there are none."""
        return len(self._classes("train"))

    @property
    def class_names(self) -> list[str]:
        """The names of the folders in `root`/train, in the order of their labels."""
        return self._classes("train")

    def sample_names(self, split: Literal["train", "test"]) -> list[str]:
        """The file of each image, relative to `root`."""
        samples = self._load_once(split)
        assert isinstance(samples, Samples)
        return [str(path.relative_to(self.root)) for path, _ in samples.samples]

    def load(self, split: Literal["train", "test"]) -> "Samples":
        """The images of one folder, read when asked for: uint8 (3, h, w), each of its own size."""
        folder = "train" if split == "train" else "val"
        train_classes, classes = self._classes("train"), self._classes(folder)
        if odd := sorted(set(train_classes) ^ set(classes)):
            raise UserError(
                f"{self.root / 'train'} and {self.root / 'val'} must have the same class folders, and only one has "
                f"{', '.join(odd[:5])}{' ...' if len(odd) > 5 else ''}: add it to the other, or remove it from both."
            )
        return Samples(self.root / folder, classes)

    def inspect(self) -> str:
        """Open every image of both folders; one that does not end as a JPEG file does is decoded in full.

        There are no published checksums of these files. Damage in the middle of a JPEG file remains unseen: decoders
        give an image for it.
        """
        found = super().inspect()
        splits = [self.load("train"), self.load("test")]
        paths = [path for split in splits for path, _ in split.samples]
        with ThreadPoolExecutor(_READERS) as readers:
            broken = [error for error in readers.map(_complaint, paths) if error]
        if broken:
            more = f" (and {len(broken) - 1:,} more)" if len(broken) > 1 else ""
            raise UserError(f"{broken[0]}{more}")
        skipped = [path for split in splits for path in split.skipped]
        more = f"; {len(skipped):,} files that are no images are skipped, such as {skipped[0]}" if skipped else ""
        return f"{found}; every file opens{more}"

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
            names = class_names(self.root / folder)
            if not names:
                raise FileNotFoundError("it holds no folder")
        except OSError as error:
            raise UserError(
                f"{self.root / folder} must hold one folder per class ({error}): set `root` to the folder that holds "
                "train/<class>/ and val/<class>/."
            ) from error
        return names


class Samples(Dataset):
    """The images of one split with their labels, found once and read when asked for.

    Args:
        folder: Holds one folder per class.
        classes: Their names, in the order of the labels.

    Raises:
        UserError: (a ValueError) if a class has no image.
    """

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self.samples: list[tuple[Path, int]] = []
        self.skipped: list[Path] = []
        """Files that are no images."""
        empty = []
        for label, name in enumerate(classes):
            images, others = image_files(folder / name, within=folder)
            self.samples += [(path, label) for path in images]
            self.skipped += others
            empty += [name] * (not images)
        if empty:
            raise UserError(
                f"{folder}: Found no valid file for the classes {', '.join(empty)}. Add images, or remove the class "
                "everywhere."
            )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.samples[index]
        return read_rgb(path), label


def _complaint(path: Path) -> str | None:
    """What is wrong with an image file; a whole JPEG is known by its first and last two bytes."""
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
