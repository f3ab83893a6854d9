"""What `sweep --plan` says of the planned seeds."""

from pathlib import Path
from typing import Any

import pytest

from scconv_lab.grid.expand import contrasts_of, expand
from scconv_lab.grid.file import read_sweep
from scconv_lab.results.collect import of_sweep
from scconv_lab.results.compare import compare
from scconv_lab.results.plan import power_lines
from tests.results.made import PLAIN, S, made_sweep


def lines(here: Path, *, runs: bool = False, **content: Any) -> list[str]:
    """What is said of a sweep of an arm and a reference, with or without its runs."""
    path = made_sweep(here, {"plain": PLAIN, "S": S} if runs else {"plain": [None], "S": [None]}, content=content)
    file = read_sweep(path)
    question, found, _ = of_sweep(file, root=here / "runs/sweeps")
    comparison = compare(question, found) if runs else None
    return power_lines(file, contrasts_of(file, expand(file)), comparison)


def test_by_the_spread_that_the_file_assumes(tmp_path: Path) -> None:
    assert lines(tmp_path, sd=0.25) == [
        "spread   0.25 points over seeds, assumed in the file",
        "shows    a difference of 0.51 points in 4 of 5 experiments, with 6 seeds and 1 contrasts",
        "margin   1 points: 4 seeds see it, and 3 call equal arms equivalent",
    ]


def test_by_the_spread_of_finished_runs(tmp_path: Path) -> None:
    first, *_ = lines(tmp_path, runs=True, sd=9.0)
    assert first == "spread   0.22 points over seeds, of 12 finished runs"


@pytest.mark.parametrize("more", [{}, {"more_seeds": {"plain": [7, 8]}}])
def test_independent_arms(tmp_path: Path, more: dict[str, Any]) -> None:
    _, shows, margin = lines(tmp_path, sd=0.25, design="independent", **more)
    assert shows.startswith("shows    a difference of 0.")
    assert margin.startswith("margin   1 points: ")


def test_a_claim_about_images_says_what_it_leaves_out(tmp_path: Path) -> None:
    assert lines(tmp_path, sd=0.25, scope="images")[-1].startswith("scope    images: their own spread comes on top")


def test_what_is_not_known(tmp_path: Path) -> None:
    assert "no run is finished, and the file has no `sd`" in lines(tmp_path)[0]
    assert "nothing is compared" in lines(tmp_path, contrasts=None, margin=None)[0]
