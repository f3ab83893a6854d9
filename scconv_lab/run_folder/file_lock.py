"""Locks on open files, which the operating system releases when their process ends."""

from typing import IO

from scconv_lab.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def try_lock(file: IO[str]) -> bool:
    """Lock an open file if no other process has; return whether this one has it now."""
    posix = _posix()
    try:
        posix.lockf(file, posix.LOCK_EX | posix.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def wait_for_lock(file: IO[str]) -> None:
    """Lock an open file as soon as no other process has."""
    posix = _posix()
    posix.lockf(file, posix.LOCK_EX)


def _posix():
    if fcntl is None:
        raise UserError(
            "runs are kept apart by file locks that this operating system lacks; use Linux or macOS, or WSL on Windows"
        )
    return fcntl
