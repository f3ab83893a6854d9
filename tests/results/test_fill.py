"""`results --fill`: runs of earlier versions are tested from their checkpoints."""

import json
import shutil
from pathlib import Path

import pytest

from scconv_lab.cli import main
from scconv_lab.errors import UserError
from scconv_lab.fit.fill import fill
from tests.results.made import change
from tests.runs import Run


@pytest.fixture
def earlier(quick_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The quick run as an earlier version would have left it."""
    monkeypatch.chdir(quick_run.folder.parents[2])
    folder = tmp_path / "cifarresnet8-sru-digits-s0/20260101-000000"
    shutil.copytree(quick_run.folder, folder, ignore=shutil.ignore_patterns("wandb"))
    (folder / "predictions.npz").unlink()
    change(folder, last=None, best=None, test_images=None, test_labels=None, seed=None, data=None)
    return folder


def test_what_is_added_is_what_the_fit_would_have_left(earlier: Path, quick_run: Run) -> None:
    fill(earlier)
    ours, theirs = (json.loads((folder / "results.json").read_text()) for folder in (earlier, quick_run.folder))
    for name in ("last", "best"):
        assert ours.pop(name) == pytest.approx(theirs.pop(name))
    assert ours == {key: value for key, value in theirs.items() if value is not None}
    assert (earlier / "predictions.npz").read_bytes() == (quick_run.folder / "predictions.npz").read_bytes()


def test_the_command_fills_and_then_answers(earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", str(earlier), "--fill"]) == 0
    printed = capsys.readouterr()
    assert "filled   cifarresnet8-sru-digits, seed 0: " in printed.err
    assert "left out" not in printed.out
    assert main(["results", str(earlier), "--fill"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("checkpoints/last.ckpt", "its test cannot be repeated; run the fit again"),
        ("results.json", "is not finished; `scconv-lab fit --resume "),
        ("config.yaml", "config.yaml, which is not there"),
    ],
)
def test_what_cannot_be_filled_is_listed(
    missing: str, message: str, earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (earlier / missing).unlink()
    before = {path: path.stat().st_mtime_ns for path in earlier.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=message):
        fill(earlier)
    assert {path: path.stat().st_mtime_ns for path in earlier.rglob("*") if path.is_file()} == before
    if missing.startswith("checkpoints"):
        assert main(["results", str(earlier), "--fill"]) == 0
        printed = capsys.readouterr()
        assert f"lacking  cifarresnet8-sru-digits, seed 0: {earlier}" in printed.err
        assert "left out cifarresnet8-sru-digits, seed 0: results.json lacks test/acc1 of last.ckpt" in printed.out
