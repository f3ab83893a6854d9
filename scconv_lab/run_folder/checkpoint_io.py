"""Checkpoint files that can be trusted: written whole or not at all, and checked when read."""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor

from scconv_lab.errors import UserError
from scconv_lab.run_folder.files import write_temporary, write_whole
from scconv_lab.run_folder.layout import CHECKPOINTS

PREVIOUS = {CHECKPOINTS[0]: CHECKPOINTS[1]}
"""Under which name the file that a new one replaces is kept."""


_OF_A_FIT: dict[str, type] = {
    "optimizer_states": list,
    "lr_schedulers": list,
    "callbacks": dict,
    "loops": dict,
    "global_step": int,
    "epoch": int,
}
"""What a checkpoint has to hold so that a fit can be resumed from it."""


class VerifiedCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file, syncs and renames it, with its SHA-256 next to it; reads what matches.

    ``x.ckpt.sha256`` is a line as sha256sum writes it. While a new file takes the place of an old one it has a line for
    each, so that a process killed at any moment leaves no file that does not match; ``last.ckpt`` moves to
    ``previous.ckpt`` first.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint; OSError, with the file's name, leaves the old one as it is."""
        path = Path(path)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        content = buffer.getbuffer()
        digest = hashlib.sha256(content).hexdigest()
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = write_temporary(path, content)
        old = _digests(path)
        if path.name in PREVIOUS and path.is_file():
            kept = path.with_name(PREVIOUS[path.name])
            _write_digests(kept, _digests(kept) + old)
            os.replace(path, kept)
            _write_digests(kept, old)
        _write_digests(path, [*old, digest])
        os.replace(temporary, path)
        _sync_folder(path.parent)
        _write_digests(path, [digest])

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint that matches its checksum, or has none; UserError for any other."""
        return load_verified(Path(path), map_location=map_location or "cpu")

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint and its checksum."""
        super().remove_checkpoint(path)
        _beside(Path(path)).unlink(missing_ok=True)


def load_verified(path: Path, *, map_location: Any = "cpu", for_training: bool = False) -> dict[str, Any]:
    """Read a checkpoint under weights_only.

    Args:
        path: The file.
        map_location: Where its tensors go; "meta" reads none of them.
        for_training: Whether it has to hold what a fit is resumed from, too.

    Raises:
        UserError: It is not there, does not match the checksum beside it, is no checkpoint of a Classifier, or lacks a
            part that is asked for.
    """
    if not path.is_file():
        raise UserError(f"{path} is not there; a fit leaves its own in RUN_FOLDER/checkpoints")
    content = path.read_bytes()
    if _beside(path).exists() and hashlib.sha256(content).hexdigest() not in _digests(path):
        raise UserError(f"{path} ({len(content):,} bytes) does not match {_beside(path).name}")
    try:
        checkpoint = torch.load(io.BytesIO(content), map_location=map_location, weights_only=True)
        plain = [dict(checkpoint["hyper_parameters"]), dict(checkpoint.get("images", {}))]
        _ = checkpoint["state_dict"].keys(), json.dumps(plain, default=_no_tensor)
    except Exception as error:  # torch.load raises many kinds on a damaged file
        kind = type(error).__name__
        raise UserError(f"{path} is not a readable checkpoint of this lab ({kind})") from error
    for part, kind in (_OF_A_FIT if for_training else {}).items():
        if not isinstance(checkpoint.get(part), kind):
            raise UserError(
                f"{path} cannot be resumed from: its {part} is missing or damaged; "
                "`--weights` starts a new fit from its weights"
            )
    return checkpoint


def _no_tensor(value: Any) -> str:
    """Refuse a tensor where a configuration is compared with another, value by value."""
    if isinstance(value, Tensor):
        raise TypeError("a tensor in place of a setting")
    return str(value)


def has_checksum(path: Path) -> bool:
    """Whether a checkpoint can be verified when it is read."""
    return _beside(path).is_file()


def set_aside(path: Path) -> None:
    """Rename a bad file to ``x.ckpt.bad``, so that it does not take the place of the previous good one."""
    if path.is_file():
        os.replace(path, path.with_name(f"{path.name}.bad"))
    _beside(path).unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _digests(path: Path) -> list[str]:
    try:
        lines = _beside(path).read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [line.split()[0] for line in lines if line.strip()]


def _write_digests(path: Path, digests: list[str]) -> None:
    if not digests:  # the file came without a checksum, and gets none
        _beside(path).unlink(missing_ok=True)
        return
    write_whole(_beside(path), "".join(f"{digest}  {path.name}\n" for digest in digests))


def _sync_folder(folder: Path) -> None:
    """Make the renames last through a power cut too."""
    if os.name == "nt":  # where a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
