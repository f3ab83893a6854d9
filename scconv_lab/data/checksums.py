"""MD5 sums of data files, against those that are published."""

import gzip
import hashlib
import zlib
from pathlib import Path

from scconv_lab.errors import UserError


def require_md5(path: Path, md5: str, *, remedy: str) -> None:
    """Raise UserError unless a file's MD5 sum is that of the original.

    Args:
        path: The file; where its name ends in ".gz", the sum is of what it holds unzipped.
        md5: The original's sum.
        remedy: How a good file is had, for the message.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except FileNotFoundError:
        state = "is missing"
    except (OSError, EOFError, zlib.error) as error:
        state = f"cannot be read ({error})"
    else:
        if found == md5:
            return
        state = f"has another MD5 sum than the original ({found}, not {md5})"
    raise UserError(f"{path} {state}: {remedy}")
