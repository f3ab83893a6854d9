from pathlib import Path

import pytest

from tests.results.made import PLAIN, S, made_sweep


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a sweep whose runs are all there."""
    monkeypatch.chdir(tmp_path)
    made_sweep(tmp_path, {"plain": PLAIN, "S": S})
    return tmp_path
