"""Where the operating system has no POSIX locks, what needs one says so."""

from pathlib import Path

import pytest

from scconv_lab.errors import UserError
from scconv_lab.run_folder import file_lock, lock


def test_without_posix_locks_what_needs_one_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "fcntl", None)
    with pytest.raises(UserError, match="file locks that this operating system lacks; use Linux or macOS, or WSL"):
        lock.take(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with (tmp_path / "file").open("w") as file, pytest.raises(UserError, match="WSL on Windows"):
        file_lock.wait_for_lock(file)
