"""One image file as a tensor, whatever the kind of its pixels."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms import v2

from scconv_lab.errors import UserError

ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif", ".jfif", ".jpe", ".avif")
"""Endings of files that are taken for images by their name, in small or capital letters."""
_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF", "AVIF")
_MOST_PIXELS = 178_956_970  # where Pillow itself refuses
_WHOLE_16_BITS = ("PNG", "PPM", "JPEG2000")
"""Formats whose wide grey values are of 16 bits by definition; a TIFF's may be of any range."""


def is_image(path: Path) -> bool:
    """Whether a file is an image: by its ending, or where that says nothing, by how it begins."""
    if path.suffix.lower() in ENDINGS:
        return True
    try:
        with Image.open(path, formats=_FORMATS):
            return True
    except Exception:
        return False


def read_rgb(path: str | Path) -> Tensor:
    """Read one image file as uint8 (3, h, w).

    16-bit grey (X-ray, depth, microscopy) is divided by 257, so that its range is kept. The turn that EXIF notes is
    applied, as viewers do. Transparency is left out; of several pictures in a file the first is read.

    Raises:
        UserError: (a ValueError) with the file, if it is no image, is damaged or cut short, claims more than 178
            million pixels, or holds floats or 32-bit whole numbers, whose range nobody knows.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise UserError(f"it claims {image.width} x {image.height} pixels")
            return v2.functional.pil_to_tensor(_as_rgb(ImageOps.exif_transpose(image)))
    except Exception as error:  # Pillow's decoders raise a dozen kinds
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{path} cannot be read as an image ({reason}): replace or delete it.") from error


def _as_rgb(image: Image.Image) -> Image.Image:
    wide = image.mode.startswith("I;16") or (image.mode == "I" and image.format in _WHOLE_16_BITS)
    if wide:
        return Image.fromarray(np.round(np.asarray(image, dtype=np.float64) / 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("F", "I"):
        kind = "floats" if image.mode == "F" else "32-bit whole numbers"
        raise UserError(f"it holds {kind}, whose range is not known; save it with 8 or 16 bits")
    return image.convert("RGB")
