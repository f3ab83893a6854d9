"""Random crop and flip for a whole batch at once, every image drawn on its own.

torchvision's `v2.RandomCrop` and `v2.RandomHorizontalFlip` draw once per call: on a batch all images would move
together, and called image by image they cost more than a small net's training step. These two give the same
distribution of images in one call per batch, and compose with the rest of `torchvision.transforms.v2`.
"""

from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2


class CropEach(v2.Transform):
    """`v2.RandomCrop((H, W), padding)` on each image of a batch: zeros around it, then H x W pixels anywhere.

    (B, C, H, W) -> (B, C, H, W), any dtype; `padding` in pixels, at least 1.
    """

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.padding = padding

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """Cut one window per image, its corner uniform over the (2 * padding + 1)^2 places."""
        batch, _, height, width = inpt.shape
        windows = v2.functional.pad(inpt, [self.padding]).unfold(2, height, 1).unfold(3, width, 1)
        top, left = torch.randint(2 * self.padding + 1, (2, batch), device=inpt.device)
        return windows[torch.arange(batch, device=inpt.device), :, top, left]


class FlipEach(v2.Transform):
    """`v2.RandomHorizontalFlip(0.5)` on each image of a batch: (B, C, H, W) -> (B, C, H, W), any dtype."""

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """Mirror every image with probability one half."""
        mirrored = torch.rand(len(inpt), 1, 1, 1, device=inpt.device) < 0.5
        return torch.where(mirrored, inpt.flip(-1), inpt)
