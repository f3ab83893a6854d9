"""Images of a folder that nobody has labelled."""

from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from scconv_lab.data.folder_files import image_files
from scconv_lab.data.image_file import read_rgb
from scconv_lab.data.padding import UNLABELLED
from scconv_lab.errors import UserError


class Unlabelled(Dataset[tuple[Tensor, int]]):
    """The images in a folder and in all folders below it, in the order of their paths, read when asked for.

    Args:
        folder: The folder. What is no image is left out, see `scconv_lab.data.folder_files`.
        resize_to: (C, H, W), to which every image is brought; None leaves each its own size.

    Raises:
        UserError: (a ValueError) if the folder is not there, or holds no image.
    """

    def __init__(self, folder: Path, *, resize_to: tuple[int, int, int] | None = None) -> None:
        if not folder.is_dir():
            raise UserError(f"--images {folder} must be a folder of images; it is not there")
        self.files, self.skipped = image_files(folder, within=folder)
        if not self.files:
            raise UserError(f"--images {folder} holds no image; name a folder that does")
        self.resize = v2.Resize(list(resize_to[1:])) if resize_to else None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = read_rgb(self.files[index])
        return (self.resize(image) if self.resize else image), UNLABELLED
