"""Downloads that are either whole or absent."""

import os
import socket
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from scconv_lab.errors import UserError

STALL_S = 60.0
"""Seconds without a byte after which a download is given up."""


@contextmanager
def download_into(target: Path, source: str) -> Iterator[Path]:
    """Yield an empty folder next to `target`; the `target.name` that the block makes in it is then moved to `target`.

    An interruption leaves nothing at `target`: a killed process leaves at most a hidden `.{target.name}-*` folder,
    which is never read. Of two processes that do this at once the first wins. A failed download or extraction is a
    UserError that names `target`, the cause and `source`.
    """
    stall = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_S)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
            yield Path(folder)
            try:
                os.replace(Path(folder, target.name), target)
            except OSError:
                if not target.exists():
                    raise
    except (OSError, RuntimeError, EOFError, HTTPException, tarfile.TarError, zlib.error) as error:
        raise UserError(
            f"{target} is missing and could not be downloaded ({str(error).strip()}). Check the network and the disk "
            f"and run again, or fetch it elsewhere from {source} and unpack it there."
        ) from error
    finally:
        socket.setdefaulttimeout(stall)
