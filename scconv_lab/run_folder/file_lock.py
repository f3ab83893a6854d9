"""Locks on open files, which the operating system releases when their process ends."""

from typing import IO, Any

from scconv_lab.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def require_locks() -> Any:
    """Return the module `fcntl`.

    Raises:
        UserError: The operating system has none.
    """
    if fcntl is None:
        raise UserError(
            "runs are kept apart by file locks that this operating system lacks; use Linux or macOS, or WSL on Windows"
        )
    return fcntl


def try_lock(file: IO[str]) -> bool:
    """Lock an open file if no other process has; return whether this one has it now."""
    locks = require_locks()
    try:
        locks.lockf(file, locks.LOCK_EX | locks.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def wait_for_lock(file: IO[str]) -> None:
    """Lock an open file as soon as no other process has."""
    locks = require_locks()
    locks.lockf(file, locks.LOCK_EX)
