"""One run as its folder has it, whatever is in there."""

import json
from pathlib import Path

import numpy as np
import pytest

from scconv_lab.errors import DIVERGED
from scconv_lab.results.measured import read_run
from scconv_lab.run_folder.files import append_line
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.verdicts.metrics import METRICS
from tests.results.made import change, made_run, with_predictions

ACC1 = METRICS["test/acc1"]


def test_a_finished_run_has_its_values(tmp_path: Path) -> None:
    run = read_run(made_run(tmp_path / "run", 0.9, arm="S", seed=3, last={"test/acc1": 0.8}))
    assert (run.arm, run.seed, run.state, run.note) == ("S", 3, "done", "")
    assert run.value(ACC1, "last").value == pytest.approx(80)
    assert run.value(ACC1, "best").value == pytest.approx(90)
    assert run.value(METRICS["test/loss"], "best").value == pytest.approx(0.1)


def test_a_sweep_says_what_arm_it_is(tmp_path: Path) -> None:
    run = read_run(made_run(tmp_path / "run", 0.9, arm="S", seed=3), arm="other", seed=4)
    assert (run.arm, run.seed) == ("other", 4)


def test_a_run_without_an_arm_is_named_as_its_folder(tmp_path: Path) -> None:
    assert read_run(made_run(tmp_path / "cifarresnet8-sru-digits-s3/20260101-000000", 0.9, seed=3)).arm == (
        "cifarresnet8-sru-digits"
    )


def test_an_earlier_version_tested_no_last_checkpoint(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "run", 0.9)
    change(folder, last=None, best=None)
    assert read_run(folder).value(ACC1, "last").value is None
    assert read_run(folder).value(ACC1, "last").lost == ""


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_lost(tmp_path: Path, value: float) -> None:
    run = read_run(made_run(tmp_path / "run", 0.9, last={"test/acc1": value}))
    assert (run.value(ACC1, "last").value, run.value(ACC1, "last").lost) == (None, "diverged")


@pytest.mark.parametrize("value", ["0.9", None, True, [0.9], {}])
def test_a_value_of_another_kind_is_none(tmp_path: Path, value: object) -> None:
    assert read_run(made_run(tmp_path / "run", 0.9, last={"test/acc1": value})).value(ACC1, "last").value is None
    assert read_run(made_run(tmp_path / "run", 0.9, last=value)).value(ACC1, "last").value is None


@pytest.mark.parametrize("text", ["", "{", "[]", "\0", '{"schema": 99}', '{"test/acc1": "high"}'])
def test_a_damaged_file_is_the_runs_own_matter(tmp_path: Path, text: str) -> None:
    folder = made_run(tmp_path / "run", 0.9)
    (folder / "results.json").write_text(text)
    run = read_run(folder)
    assert run.state == "damaged"
    assert str(folder / "results.json") in run.note


def test_a_seed_that_is_no_number(tmp_path: Path) -> None:
    run = read_run(made_run(tmp_path / "run", 0.9, seed="one"))
    assert (run.state, "`seed` (='one') must be a number" in run.note) == ("damaged", True)


@pytest.mark.parametrize(
    ("attempts", "state", "lost"),
    [
        ([], "interrupted", ""),
        ([{"code": 1}, {"code": 1}], "failed", ""),
        ([{"code": DIVERGED}, {"code": DIVERGED}], "diverged", "diverged"),
        ([{"code": -9}, {"code": DIVERGED}], "diverged", "diverged"),
        ([{"code": 143, "stopped": "below plain"}], "stopped", "stopped early"),
    ],
)
def test_a_run_without_results(tmp_path: Path, attempts: list[dict[str, object]], state: str, lost: str) -> None:
    """What the machine has failed is not the run's own doing."""
    folder = RunFolder(tmp_path)
    folder.config.write_text("seed_everything: 0\n")
    for attempt in attempts:
        append_line(folder.attempts, attempt)
    run = read_run(tmp_path, arm="S", seed=0)
    assert (run.state, run.lost) == (state, lost)
    assert run.value(ACC1, "last").lost == lost


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert read_run(tmp_path / "none", arm="S", seed=0).state == "new"


def test_what_it_was_made_by_is_the_labs_code_or_its_commit(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "run", 0.9)
    assert read_run(folder).made_by["code"] == "0123456789ab"
    change(folder, code=None)
    assert read_run(folder).made_by["code"] == "a" * 40
    change(folder, git_commit=None)
    assert "code" not in read_run(folder).made_by


def test_the_images_agree_with_the_figures(tmp_path: Path) -> None:
    right = np.arange(360) % 4 > 0
    folder = made_run(tmp_path / "run", 0.75)
    with_predictions(folder, right)
    run = read_run(folder)
    images = run.value(ACC1, "last").images
    assert images is not None
    assert images().mean() == pytest.approx(75)
    assert set(images()) == {0.0, 100.0}
    for name in ("test/acc5", "test/loss", "test/brier"):
        per_image = run.value(METRICS[name], "last").images
        assert per_image is not None
        assert per_image().shape == (360,)
    assert json.loads((folder / "results.json").read_text())
