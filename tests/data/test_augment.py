"""The batch-wise crop and flip against torchvision's, image by image."""

import torch
from torchvision.transforms import v2

from scconv_lab.data.augment import CropEach, FlipEach


def test_crops_are_torchvisions_and_all_of_them_occur_as_often():
    padding, draws = 2, 20_000
    image = torch.arange(1, 2 * 5 * 4 + 1, dtype=torch.uint8).view(2, 5, 4)  # not square, all pixels distinct
    padded = v2.functional.pad(image, [padding])
    windows = {
        v2.functional.crop(padded, top, left, 5, 4).numpy().tobytes(): 0
        for top in range(2 * padding + 1)
        for left in range(2 * padding + 1)
    }
    assert len(windows) == 25
    torch.manual_seed(0)
    for crop in CropEach(padding)(image.expand(draws, -1, -1, -1)).numpy():
        windows[crop.tobytes()] += 1  # KeyError: not a window of the padded image
    expected = draws / len(windows)
    assert all(abs(count - expected) < 5 * expected**0.5 for count in windows.values())


def test_half_of_the_images_are_mirrored_each_on_its_own():
    images = torch.arange(6, dtype=torch.uint8).view(1, 1, 2, 3).expand(4_000, -1, -1, -1)
    torch.manual_seed(0)
    flipped = FlipEach()(images)
    mirrored = (flipped == v2.functional.horizontal_flip(images)).flatten(1).all(1)
    kept = (flipped == images).flatten(1).all(1)
    assert torch.all(mirrored ^ kept)
    assert abs(int(mirrored.sum()) - 2_000) < 160  # five standard deviations


def test_dtype_shape_and_seed():
    images = torch.randint(256, (6, 3, 8, 8), dtype=torch.uint8)
    augment = v2.Compose([CropEach(1), FlipEach()])
    torch.manual_seed(1)
    first = augment(images)
    torch.manual_seed(1)
    assert torch.equal(first, augment(images))
    assert first.dtype == torch.uint8
    assert first.shape == images.shape
    assert not torch.equal(first, augment(images))
