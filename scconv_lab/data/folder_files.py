"""The files of a class folder: what is an image, what is skipped, and what is not even looked at."""

import os
from collections.abc import Iterator
from pathlib import Path

from scconv_lab.data.image_file import is_image

_LEFTOVERS = ("__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini")
"""What operating systems leave among pictures, as they do names that begin with a dot."""


def class_names(folder: Path) -> list[str]:
    """The sorted names of the folders in a folder, without hidden ones and leftovers."""
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not is_leftover(entry.name))


def image_files(folder: Path, *, within: Path) -> tuple[list[Path], list[Path]]:
    """List the images of a class folder and of all that is below it, in the order of their paths.

    Links to folders are followed where they lead out of the data set; one that leads back into it would add pictures
    twice, or without end.

    Args:
        folder: The class folder.
        within: The folder of all classes.

    Returns:
        The images, and the other files: those that are skipped.
    """
    images, others = [], []
    for file in _files(folder, within.resolve(), frozenset({folder.resolve()})):
        (images if is_image(file) else others).append(file)
    return images, others


def is_leftover(name: str) -> bool:
    """Whether a name is hidden, or that of something an operating system left."""
    return name.startswith(".") or name in _LEFTOVERS


def _files(folder: Path, within: Path, above: frozenset[Path]) -> Iterator[Path]:
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    kept = [entry for entry in entries if not is_leftover(entry.name)]
    yield from (Path(entry.path) for entry in kept if entry.is_file())
    for entry in kept:
        if not entry.is_dir():
            continue
        real = Path(entry.path).resolve()
        leads_back = real in above or within.is_relative_to(real) or real.is_relative_to(within)
        if entry.is_symlink() and leads_back:
            continue
        yield from _files(Path(entry.path), within, above | {real})
