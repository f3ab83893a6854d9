"""Which code a run was made by."""

import hashlib
import platform
import subprocess
from functools import cache
from pathlib import Path

import lightning
import torch
import torchvision

import scconv_lab

_CHECKOUT = Path(scconv_lab.__file__).parent.parent


@cache
def provenance() -> dict[str, str | None]:
    """Name the git commit, the lock file's hash and the versions that a run was made with; git is asked once.

    ``git_commit`` ends in "-dirty" if tracked files differ from the commit. Outside a checkout of this project,
    ``git_commit`` and ``lock_hash`` (SHA-256 of uv.lock) are None.
    """
    return {
        "git_commit": _git_commit(),
        "lock_hash": _lock_hash(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "torchvision": torchvision.__version__,
        "lightning": lightning.__version__,
    }


def _git_commit() -> str | None:
    if not (_CHECKOUT / ".git").exists():
        return None
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit}-dirty" if _git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_CHECKOUT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _lock_hash() -> str | None:
    lock = _CHECKOUT / "uv.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None
