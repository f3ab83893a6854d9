"""Kinds of pixels, and files that are damaged or lie."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scconv_lab.data.image_file import is_image, read_rgb
from scconv_lab.errors import UserError

RAMP = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_of_grey_keep_their_range(tmp_path: Path, ending: str) -> None:
    Image.fromarray(RAMP).save(tmp_path / f"x.{ending}")
    image = read_rgb(tmp_path / f"x.{ending}")
    assert image.shape == (3, 16, 16)
    torch.testing.assert_close(image[0].float(), torch.from_numpy(RAMP / 257).float(), atol=0.51, rtol=0)


def test_big_endian_sixteen_bits_too(tmp_path: Path) -> None:
    Image.frombytes("I;16B", (16, 16), RAMP.astype(">u2").tobytes()).save(tmp_path / "x.tif")
    assert read_rgb(tmp_path / "x.tif")[0].max() == 255
    assert len(read_rgb(tmp_path / "x.tif").unique()) > 250


@pytest.mark.parametrize(("dtype", "kind"), [(np.float32, "floats"), (np.int32, "32-bit whole numbers")])
def test_values_of_unknown_range_are_refused(tmp_path: Path, dtype: type, kind: str) -> None:
    Image.fromarray(np.linspace(-3, 900, 256).astype(dtype).reshape(16, 16)).save(tmp_path / "x.tif")
    with pytest.raises(UserError, match=rf"x.tif cannot be read as an image \(it holds {kind}"):
        read_rgb(tmp_path / "x.tif")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_other_modes_become_three_channels(tmp_path: Path, mode: str) -> None:
    ending = {"CMYK": "jpg", "YCbCr": "jpg"}.get(mode, "png")
    Image.new("RGB", (5, 4), (200, 200, 200)).convert(mode).save(tmp_path / f"x.{ending}")
    assert read_rgb(tmp_path / f"x.{ending}").shape == (3, 4, 5)


def test_the_turn_of_a_phone_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_rgb(tmp_path / "turned.jpg").shape == (3, 8, 4)


def test_of_several_pictures_the_first_is_read(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (4, 4), "white"), Image.new("RGB", (4, 4), "black")
    first.save(tmp_path / "x.gif", save_all=True, append_images=[second])
    assert read_rgb(tmp_path / "x.gif").min() == 255


@pytest.mark.parametrize("size", [60_000, 14_000])
def test_a_header_that_claims_a_huge_picture_is_refused(tmp_path: Path, size: int) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    raw = bytearray(buffer.getvalue())
    raw[16:24] = struct.pack(">II", size, size)
    raw[29:33] = struct.pack(">I", zlib.crc32(bytes(raw[12:29])))
    (tmp_path / "bomb.png").write_bytes(bytes(raw))
    with pytest.raises(UserError, match=r"bomb\.png"):
        read_rgb(tmp_path / "bomb.png")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "ICO", "TGA", "PPM", "SGI", "PCX"])
def test_whatever_a_decoder_raises_names_the_file(tmp_path: Path, kind: str) -> None:
    draw = np.random.default_rng(7)
    buffer = io.BytesIO()
    Image.fromarray(draw.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(buffer, kind)
    whole = buffer.getvalue()
    path = tmp_path / "odd.jpg"
    for trial in range(40):
        raw = bytearray(whole if trial % 3 else whole[: draw.integers(4, len(whole))])
        for _ in range(trial % 7):
            raw[draw.integers(0, min(len(raw), 96))] = draw.integers(0, 256)
        path.write_bytes(bytes(raw))
        named = ""
        try:
            read_rgb(path)
        except UserError as error:
            named = str(error)
        assert not named or named.startswith(str(path))


def test_what_is_an_image(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "x", "JPEG")
    (tmp_path / "y").write_text("%PDF-1.4")
    (tmp_path / "z.TIFF").touch()
    assert [is_image(tmp_path / name) for name in ("x", "y", "z.TIFF", "gone")] == [True, False, True, False]
