"""The data sets of the lab, as LightningDataModules with one contract (`ImageDataModule`)."""

from scconv_lab.data.base import ImageDataModule, Split
from scconv_lab.data.cifar import CIFAR10, CIFAR100
from scconv_lab.data.digits import Digits
from scconv_lab.data.fashion_mnist import FashionMNIST
from scconv_lab.data.image_folder import ImageFolder
from scconv_lab.data.padding import IGNORE_INDEX, UNLABELLED

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "IGNORE_INDEX",
    "UNLABELLED",
    "Digits",
    "FashionMNIST",
    "ImageDataModule",
    "ImageFolder",
    "Split",
]
