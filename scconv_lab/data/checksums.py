"""MD5 sums of data files, each computed once."""

import gzip
import hashlib
import json
import os
import time
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

from scconv_lab.errors import UserError

STATE = ".md5.json"
_RACE_NS = 2_000_000_000
"""Coarsest time stamps of common file systems (FAT's 2 s): a younger file could change again under the same stamp."""


def require_md5(path: Path, md5: str, *, root: Path, remedy: str) -> None:
    """Raise UserError unless a file's MD5 sum is that of the original.

    Args:
        path: The file; where its name ends in ".gz", the sum is of what it holds unzipped.
        md5: The original's sum.
        root: Folder that keeps the sums of its files, see `md5_of`.
        remedy: How a good file is had, for the message.
    """
    try:
        found = md5_of(path, root=root)
    except FileNotFoundError:
        state = "is missing"
    except (OSError, EOFError, zlib.error) as error:
        state = f"cannot be read ({error})"
    else:
        if found == md5:
            return
        state = f"has another MD5 sum than the original ({found}, not {md5})"
    raise UserError(f"{path} {state}: {remedy}")


def md5_of(path: Path, *, root: Path) -> str:
    """Return the MD5 sum of what a file holds, unzipped where its name ends in ".gz".

    The sum is kept in `root`/.md5.json with the file's size and time of change, and computed again when either is
    another. Where that file cannot be written, or there is no folder `root`, the sum is computed each time.

    Raises OSError, EOFError or zlib.error if the file cannot be read or unzipped.
    """
    status = path.stat()
    now = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
    key = os.path.relpath(path, root)
    kept = _read(root).get(key)
    if isinstance(kept, dict) and kept.items() >= now.items() and isinstance(kept.get("md5"), str):
        return kept["md5"]
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if time.time_ns() - status.st_mtime_ns > _RACE_NS:
        _write(root, _read(root) | {key: now | {"md5": md5}})
    return md5


def _read(root: Path) -> dict[str, object]:
    try:
        state = json.loads((root / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _write(root: Path, state: dict[str, object]) -> None:
    """Put the state in place in one step; of two processes that do this at once, one may have to compute again."""
    try:
        with TemporaryDirectory(dir=root, prefix=STATE) as folder:
            file = Path(folder, STATE)
            file.write_text(json.dumps(state, indent=1), encoding="utf-8")
            os.replace(file, root / STATE)
    except OSError:
        return
