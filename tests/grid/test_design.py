"""What a sweep sets out to show is read as it says, and what cannot be judged is refused with the key."""

from pathlib import Path
from typing import Any

import pytest

from scconv_lab.verdicts.design import Design
from scconv_lab.verdicts.metrics import METRICS
from tests.grid.files import GOOD, read, refusal

CONTRASTS = {"contrasts": {"axis": "alpha", "reference": 0.5}, "margin": 0.5}


def test_a_sweep_need_not_have_one(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).design == Design(looks=(2,))


def test_what_is_left_out(tmp_path: Path) -> None:
    design = read(tmp_path, GOOD | CONTRASTS).design
    assert design == Design(against={"alpha": "0.5"}, margin=0.5, looks=(2,))
    assert (design.metric.name, design.checkpoint, design.paired, design.scope) == ("test/acc1", "last", True, "seeds")


def test_all_keys_together(tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "seeds": [0, 1, 2, 3],
        "contrasts": [{"axis": "alpha", "reference": "alpha=0.5"}],
        "pairs": [["alpha=0.25", "alpha=0.5"]],
        "metric": "test/loss",
        "margin": 0.02,
        "checkpoint": "best",
        "design": "independent",
        "looks": [2, 4],
        "scope": "images",
        "missing": "intersect",
        "more_seeds": {"alpha=0.5": [7, 8]},
        "sd": 0.01,
    }
    sweep = read(tmp_path, GOOD | more)
    assert sweep.design == Design(
        against={"alpha": "alpha=0.5"},
        pairs=(("alpha=0.25", "alpha=0.5"),),
        metric=METRICS["test/loss"],
        margin=0.02,
        checkpoint="best",
        paired=False,
        looks=(2, 4),
        scope="images",
        intersect=True,
    )
    assert (sweep.seeds_of("alpha=0.5"), sweep.seeds_of("alpha=0.25")) == ((0, 1, 2, 3, 7, 8), (0, 1, 2, 3))
    assert sweep.sd == 0.01


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"contrasts": {"axis": "alpha", "reference": 0.5}}, "`margin` is missing; contrasts are judged by"),
        ({"pairs": [["a", "b"]]}, "`margin` is missing"),
        (CONTRASTS | {"margin": 0}, "`margin` (=0) must be a number above 0"),
        (CONTRASTS | {"margin": True}, "`margin` (=True) must be a number above 0"),
        (CONTRASTS | {"margin": float("nan")}, "`margin` (=nan) must be a number above 0"),
        ({"contrasts": "plain"}, "`contrasts` (='plain') must be a mapping"),
        ({"contrasts": {"axis": "alpha"}}, "must be {axis: AXIS, reference: LABEL}"),
        ({"contrasts": [CONTRASTS["contrasts"]] * 2}, "`contrasts[1].axis` (='alpha') is there twice"),
        ({"pairs": [["a"]]}, "`pairs[0]` (=['a']) must be two arms"),
        ({"pairs": [["a", "a"]]}, "must be two arms"),
        ({"pairs": ["ab"]}, "`pairs[0]` (='ab') must be a list"),
        (CONTRASTS | {"metric": "val/acc1"}, "`metric` (='val/acc1') must be a metric of a test"),
        (CONTRASTS | {"metric": 1}, "`metric` (=1) must be a metric of a test"),
        (CONTRASTS | {"checkpoint": "newest"}, "`checkpoint` (='newest') must be last or best"),
        (CONTRASTS | {"design": "unpaired"}, "`design` (='unpaired') must be paired or independent"),
        (CONTRASTS | {"scope": "all"}, "`scope` (='all') must be seeds or images"),
        (CONTRASTS | {"missing": "drop"}, "`missing` (='drop') must be refuse or intersect"),
        (
            CONTRASTS | {"looks": [1, 2]},
            "`looks` (=[1, 2]) must be numbers of seeds from 2, ascending, the last of them 2",
        ),
        (CONTRASTS | {"looks": [2, 3]}, "the last of them 2, as many as `seeds` has"),
        (CONTRASTS | {"looks": []}, "`looks` (=[])"),
        (CONTRASTS | {"looks": [2, 2]}, "ascending"),
        (CONTRASTS | {"sd": -1}, "`sd` (=-1) must be a number above 0"),
        (CONTRASTS | {"more_seeds": {"alpha=0.5": [1]}}, "`more_seeds.alpha=0.5` (=[1]) has 1, which `seeds` has too"),
        (CONTRASTS | {"more_seeds": {"alpha=0.5": []}}, "`more_seeds.alpha=0.5` (=[]) must be numbers"),
        ({"contrast": {}}, "a sweep has no key 'contrast'; did you mean 'contrasts'?"),
    ],
)
def test_what_cannot_be_judged_is_refused(more: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert message in refusal(tmp_path, GOOD | more)
