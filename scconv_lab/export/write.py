"""Writes a file, checks it, and only then lets it take its place."""

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from scconv_lab.errors import UserError
from scconv_lab.export.formats import FORMATS
from scconv_lab.export.parity import require_parity
from scconv_lab.messages import nearest
from scconv_lab.terminal.loading import loading

if TYPE_CHECKING:  # torch loads where it is used, so that --help and a mistake are answered at once
    from torch import Tensor

    from scconv_lab.training import Classifier


def export(ckpt: Path, *, file_format: str, output: Path | None = None, trust_code: bool = False) -> Path:
    """Write the net of a checkpoint to a file, and print how well the file agrees with the net.

    The file takes its place, and replaces an older one, only when it has been read back and agrees: on seeded random
    images, at batch sizes 1 and 3, each output has to lie within ``1e-4 m + 2 s`` of the net's. Here m is the net's
    largest output, and s is how far noise of standard deviation 1e-4 in the images moves the net's own outputs: next to
    nothing in most nets, but SRU's gate is a step, and a value within rounding of it may fall on the other side.

    Args:
        ckpt: A checkpoint of this lab.
        file_format: "onnx", "torch_export" or "safetensors".
        output: The file; None puts it next to the checkpoint, under its name.
        trust_code: Whether the checkpoint may name classes and predicates outside the lab and its libraries, whose
            modules are then imported: they run code.

    Returns:
        The file.

    Raises:
        UserError: (a ValueError) on an unknown format or one whose libraries are not installed, a checkpoint that is
            missing, damaged, not of this lab or asks for code that is not trusted, or an output that cannot be written.
        ParityError: if the file disagrees with the net; there is no file then.
    """
    if file_format not in FORMATS:
        raise UserError(f"--format {file_format} is not known{nearest(file_format, list(FORMATS))}")
    chosen = FORMATS[file_format]
    chosen.require_installed()
    if not ckpt.is_file():
        raise UserError(f"--ckpt {ckpt} is not there; a fit leaves its own in RUN_FOLDER/checkpoints")
    output = output or ckpt.with_suffix(chosen.suffix)
    with _temporary_folder(ckpt, output) as folder:
        with _quietly():
            classifier = _load(ckpt, trust_code=trust_code)
            images = _images(classifier)
            chosen.write(classifier, images[:2], folder / output.name)
            exported = chosen.read(folder / output.name)
        require_parity(classifier.net, exported, images)
        written = sorted(folder.iterdir())
        size = sum(file.stat().st_size for file in written)
        for file in written:
            os.replace(file, output.parent / file.name)
    print(f"written  {output}, {size / 1e6:.2f} MB")
    return output


@contextmanager
def _temporary_folder(ckpt: Path, output: Path) -> Iterator[Path]:
    """A folder next to the output, so that moving a file out of it takes the output's place in one step."""
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: there is no folder {output.parent}; make it, or choose another")
    if output.is_dir():
        raise UserError(f"--output {output} is a folder; name a file in it, such as {output / ckpt.stem}")
    if output.exists() and output.samefile(ckpt):
        raise UserError(f"--output {output} is the checkpoint itself; name another file")
    try:
        folder = tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent)
    except OSError as error:
        raise UserError(
            f"--output {output}: the folder cannot be written to ({error.strerror}); choose another"
        ) from error
    with folder as name:
        yield Path(name)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep what the libraries say to themselves from the terminal; an exception still tells."""
    before = logging.root.manager.disable
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)


def _load(ckpt: Path, *, trust_code: bool) -> "Classifier":
    with loading():
        from scconv_lab.run_folder.checkpoint_io import load_verified
        from scconv_lab.training import Classifier
        from scconv_lab.training.own_code import make_importable

    try:
        if trust_code:
            configuration = load_verified(ckpt).get("configuration") or {}
            make_importable(map(Path, configuration.get("own_code") or []))
        classifier = Classifier.load_from_checkpoint(ckpt, map_location="cpu", trust_code=trust_code)
    except UserError:
        raise
    except Exception as error:  # torch.load and Lightning raise many kinds on a damaged or another's file
        raise UserError(
            f"--ckpt {ckpt} is not a readable checkpoint of this lab ({type(error).__name__}: "
            f"{shorten(str(error), width=300, placeholder=' ...')}); use the run's other checkpoint"
        ) from error
    classifier.net.eval()
    return classifier


def _images(classifier: "Classifier") -> "Tensor":
    import torch

    return torch.randn(4, *classifier.image_shape, generator=torch.Generator().manual_seed(0))
