"""One process at a time works on a run; its lock dies with it, however it dies."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scconv_lab.errors import BusyError
from scconv_lab.run_folder.file_lock import require_locks, try_lock, wait_for_lock
from scconv_lab.run_folder.layout import RunFolder

_TRIES, _BETWEEN_S = 10, 0.1  # a look at the lock holds it for a moment
_held: list[IO[str]] = []


def take(folder: Path) -> None:
    """Take the lock of a run's folder until `release` or this process's end.

    Raises:
        BusyError: Another process has it, and for longer than a second.
        UserError: The operating system has no file locks.
    """
    require_locks()
    folder.mkdir(parents=True, exist_ok=True)
    file = RunFolder(folder).lock.open("a+", encoding="utf-8")
    for attempt in range(_TRIES):
        if try_lock(file):
            break
        if attempt == _TRIES - 1:
            owner = holder(folder)
            file.close()
            raise BusyError(f"{folder} is being worked on by {owner or 'another process'}; wait for it, or end it")
        time.sleep(_BETWEEN_S)
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    _held.append(file)


def release() -> None:
    """Give back what this process has taken."""
    while _held:
        _held.pop().close()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Keep other processes from a folder of runs for the moment that it takes to write there."""
    folder.mkdir(parents=True, exist_ok=True)
    with RunFolder(folder).lock.open("a", encoding="utf-8") as file:
        wait_for_lock(file)
        yield


def holder(folder: Path) -> str | None:
    """Who works on a run, such as "process 4711 on node3"; None if nobody does. Not for the holder itself to ask."""
    try:
        with RunFolder(folder).lock.open("r+", encoding="utf-8") as file:
            return None if try_lock(file) else file.read().strip() or "another process"
    except FileNotFoundError:
        return None
