from pathlib import Path

import pytest

from scconv_lab.run_folder.layout import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """The folder of a run that nothing has been written to."""
    return RunFolder(tmp_path / "runs" / "0123456789ab")


@pytest.fixture
def begun(run: RunFolder) -> RunFolder:
    """The folder of a run that a fit has begun."""
    run.path.mkdir(parents=True)
    run.config.write_text("seed_everything: 0\n")
    return run
