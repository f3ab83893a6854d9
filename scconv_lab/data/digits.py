"""scikit-learn's handwritten digits: real images that need no download."""

from typing import Any, Literal

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import TensorDataset
from torchvision.transforms import v2

from scconv_lab.data.augment import CropEach
from scconv_lab.data.base import ImageDataModule


class Digits(ImageDataModule):
    """1,797 grey digits of 8 x 8 pixels, 10 classes, embedded in scikit-learn; `root` is not used.

    The source (UCI Optical Recognition of Handwritten Digits, its test part) has no further split, so 360 images,
    stratified by class and always the same ones, are the test set. Intensities 0..16 become 0..255. Augmentation: a
    random crop after padding by 1 pixel, and no flip, which would make other characters of digits.

    Args:
        val_size: Images out of the 1,437 for training that are set aside for validation.
        **kwargs: See `ImageDataModule`.
    """

    num_classes = 10
    image_shape = (3, 8, 8)
    mean = (0.3054,)
    std = (0.3760,)

    def __init__(self, *, val_size: int | float = 240, **kwargs: Any) -> None:
        super().__init__(val_size=val_size, **kwargs)

    def load(self, split: Literal["train", "test"]) -> TensorDataset:
        """The 1,437 or the 360 images: uint8 (1, 8, 8)."""
        pixels, labels = map(np.asarray, load_digits(return_X_y=True))
        train, test = train_test_split(range(1797), test_size=360, stratify=labels, random_state=0)
        images = torch.from_numpy(pixels * (255 / 16)).round().to(torch.uint8).view(-1, 1, 8, 8)
        chosen = train if split == "train" else test
        return TensorDataset(images[chosen], torch.from_numpy(labels)[chosen])

    def augmentation(self) -> list[v2.Transform]:
        """A crop that moves the digit by at most one pixel."""
        return [CropEach(padding=1)]
