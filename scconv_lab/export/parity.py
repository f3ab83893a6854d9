"""Compares an exported file with its net."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from scconv_lab.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

_NOISE = 1e-4


class ParityError(RuntimeError):
    """An exported file that does not compute what its net does: a defect of ours or of an exporter, not the user's."""


def require_parity(net: "nn.Module", exported: "Callable[[Tensor], Tensor]", images: "Tensor") -> None:
    """Run both on the same images, print how far they differ, and raise ParityError beyond the tolerance.

    The tolerance is that of `scconv_lab.export.export`.
    """
    import torch

    with torch.no_grad():
        noise = _NOISE * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
        expected = net(images)
        sway = (net(images + noise) - expected).abs().max()
        if not expected.isfinite().all():
            raise UserError("the checkpoint's net gives values that are not finite; export one from before it diverged")
        tolerance = float(1e-4 * expected.abs().max() + 2 * sway)
        for batch in images.split((1, 3)):
            expected, actual = net(batch), exported(batch)
            assert actual.shape == expected.shape, f"{tuple(actual.shape)} instead of {tuple(expected.shape)}"
            difference = float((actual - expected).abs().max())
            agreement = (
                f"max |difference| {difference:.1e} of outputs up to {expected.abs().max():.2g} "
                f"(tolerance {tolerance:.0e}), {len(batch)} image{'s' * (len(batch) > 1)}"
            )
            print(f"parity   {agreement}")
            if not difference <= tolerance:  # NaN is not
                raise ParityError(f"the exported file disagrees with its net, and was removed: {agreement}")
