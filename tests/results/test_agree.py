"""Runs that differ in anything but their arm are listed with what differs."""

from pathlib import Path
from typing import Any

import pytest

from scconv_lab.results.agree import same_test_set, set_aside_what_differs
from scconv_lab.results.measured import Measured
from tests.results.made import results


def run(arm: str, seed: int, **changes: Any) -> Measured:
    return Measured(Path(f"{arm}-{seed}"), arm, seed, "done", results(0.9, arm=arm, seed=seed, **changes))


def runs(**changes: Any) -> list[Measured]:
    """Three runs of an arm and three of another, of which one differs."""
    return [
        run("plain", 0, **changes),
        *(run("plain", seed) for seed in (1, 2)),
        *(run("S", seed) for seed in range(3)),
    ]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"code": {"scconv_lab": "fedc"}}, "code of the lab is fedc, and of most runs 0123456789ab"),
        ({"lock_hash": "c" * 64}, "uv.lock is cccccccccccc, and of most runs bbbbbbbbbbbb"),
        ({"torch": "2.14.1"}, "torch is 2.14.1, and of most runs 2.15.0"),
        ({"device": "NVIDIA H100"}, "device is NVIDIA H100, and of most runs cpu"),
        ({"precision": "bf16-mixed"}, "precision is bf16-mixed, and of most runs 32-true"),
        ({"recipe": "1"}, "recipe is 1, and of most runs ffff00001111"),
        ({"test_labels": "1"}, "test set is 1, and of most runs cafe0000cafe"),
        (
            {"data": "CIFAR10", "test_images": 10},
            "data is CIFAR10, and of most runs Digits; number of test images is 10",
        ),
    ],
)
def test_one_that_differs_is_set_aside(changes: dict[str, Any], note: str) -> None:
    first, *others = set_aside_what_differs(runs(**changes), recipe=False)
    assert first.state == "differs"
    assert note in first.note
    assert {run.state for run in others} == {"done"}


@pytest.mark.parametrize("changes", [{}, {"git_commit": "d" * 40}, {"processes": 2}, {"seconds": 1}, {"torch": None}])
def test_what_decides_nothing_may_differ(changes: dict[str, Any]) -> None:
    """Another commit of the same sources, or what an earlier version did not note; how arms differ says the file."""
    assert {run.state for run in set_aside_what_differs(runs(**changes), recipe=False)} == {"done"}


def test_without_a_sweeps_file_the_recipe_counts() -> None:
    first = set_aside_what_differs(runs(recipe="0123"), recipe=True)[0]
    assert first.note == "recipe is 0123, and of most runs ffff00001111"


def test_of_two_halves_the_first_counts() -> None:
    halves = [run("plain", 0), run("plain", 1), run("S", 0, device="cuda"), run("S", 1, device="cuda")]
    assert [each.state for each in set_aside_what_differs(halves, recipe=False)] == ["done"] * 2 + ["differs"] * 2


def test_what_is_not_finished_is_left_alone() -> None:
    unfinished = Measured(Path("x"), "S", 9, "interrupted", note="why")
    assert set_aside_what_differs([*runs(), unfinished], recipe=False)[-1] == unfinished


def test_arms_may_be_of_other_data_but_not_compared() -> None:
    plain, other = [run("plain", 0)], [run("S", 0, test_labels="1")]
    assert {each.state for each in set_aside_what_differs([*plain, *other], recipe=False)} == {"done"}
    assert not same_test_set(plain, other)
    assert same_test_set(plain, [run("S", 0), Measured(Path("x"), "S", 1, "new")])
