"""The verdicts of a design on runs: complete, in the middle, lost, not paired, looked at too early."""

from dataclasses import replace

import numpy as np
import pytest

from scconv_lab.verdicts.design import Contrast, Design
from scconv_lab.verdicts.judge import Judged, Value, Values, judge
from scconv_lab.verdicts.metrics import METRICS
from scconv_lab.verdicts.rule import independent, paired

SEEDS = range(6)
PLANNED = {"plain": SEEDS, "S": SEEDS, "C": SEEDS}
CONTRASTS = [Contrast("S", "plain"), Contrast("C", "plain")]
DESIGN = Design(against={"arm": "plain"}, margin=0.5, looks=(6,))
PLAIN = [78.20, 78.55, 78.41, 78.12, 78.66, 78.30]
S = [79.61, 80.02, 79.85, 79.50, 80.17, 79.71]  # about 1.4 more
C = [78.31, 78.42, 78.45, 78.22, 78.56, 78.35]  # about as much


def values_of(**arms: list[float | None]) -> dict[str, dict[int, Value]]:
    return {arm: {seed: Value(value) for seed, value in enumerate(found) if value} for arm, found in arms.items()}


VALUES = values_of(plain=PLAIN, S=S, C=C)


def judged(values: Values = VALUES, design: Design = DESIGN, **how: object) -> dict[str, Judged]:
    found = judge(design, CONTRASTS, values, how.pop("planned", PLANNED), **how)
    return {each.contrast.arm: each for each in found.judged}


def test_complete_runs_have_verdicts() -> None:
    found = judged()
    assert (found["S"].verdict, found["C"].verdict) == ("better", "equivalent")
    assert found["S"].estimate == paired(S, PLAIN)
    assert (found["S"].n, found["S"].look, found["S"].why) == (6, 0, "")
    assert found["S"].level == pytest.approx(0.025)
    assert found["S"].direction_interval == paired(S, PLAIN).interval(0.025)
    assert found["C"].margin_interval == paired(C, PLAIN).interval(0.05)
    assert found["S"].superiority == 1.0


def test_the_order_in_which_runs_are_given_does_not_matter() -> None:
    shuffled = {arm: dict(reversed(seeds.items())) for arm, seeds in VALUES.items()}
    assert judged(shuffled) == judged()


def test_a_missing_seed_takes_the_verdict_of_its_contrast_only() -> None:
    found = judged(values_of(plain=PLAIN, S=[*S[:5], None], C=C))
    assert found["S"].verdict == "cannot tell"
    assert found["S"].why == "not all planned seeds are there; seed 5 left out, which only one of the two has"
    assert found["C"].verdict == "equivalent"


def test_intersect_judges_the_seeds_that_both_have() -> None:
    found = judged(values_of(plain=PLAIN, S=[*S[:5], None], C=C), replace(DESIGN, intersect=True))
    assert (found["S"].verdict, found["S"].n) == ("better", 5)
    assert "seed 5 left out" in found["S"].why


def test_more_seeds_than_planned_are_not_counted() -> None:
    more = {arm: {**seeds, 9: Value(99.0)} for arm, seeds in VALUES.items()}
    assert judged(more)["S"].estimate == judged()["S"].estimate


class TestLooks:
    TWO = replace(DESIGN, looks=(4, 6))

    def test_the_last_complete_look_counts(self) -> None:
        half = values_of(plain=PLAIN[:5], S=S[:5], C=C[:5])
        found = judged(half, self.TWO)
        assert found["S"].look == 0
        assert found["S"].n == 4
        assert found["S"].estimate == paired(S[:4], PLAIN[:4])
        assert found["S"].level < 0.01 < judged(VALUES, self.TWO)["S"].level

    def test_before_the_first_nothing_is_said(self) -> None:
        found = judged(values_of(plain=PLAIN[:3], S=S[:3], C=C[:3]), self.TWO)
        assert (found["S"].verdict, found["S"].look) == ("cannot tell", None)
        assert found["S"].estimate == paired(S[:3], PLAIN[:3])


class TestExploratory:
    def test_what_was_not_planned_is_no_verdict(self) -> None:
        found = judged(exploratory="--margin is not the file's")
        assert (found["S"].verdict, found["S"].why) == ("exploratory", "--margin is not the file's")
        assert found["S"].estimate

    def test_nor_is_what_has_no_margin(self) -> None:
        found = judged(design=replace(DESIGN, margin=None))
        assert (found["S"].verdict, found["S"].why) == ("exploratory", "no margin was planned")
        assert found["S"].seeds_needed is None


class TestLost:
    """Survivors of an arm that loses seeds by its own doing say only so much."""

    @pytest.mark.parametrize("lost", ["diverged", "stopped early"])
    def test_an_arm_that_loses_a_seed_cannot_be_better(self, lost: str) -> None:
        values = {**VALUES, "S": {**VALUES["S"], 5: Value(None, lost=lost)}}
        found = judged(values)["S"]
        assert found.verdict == "cannot tell"
        assert f"S: 1 of 6 {lost}" in found.why

    def test_it_can_be_worse(self) -> None:
        values = values_of(plain=PLAIN, S=[value - 3 for value in S], C=C)
        values["S"][5] = Value(None, lost="diverged")
        assert judged(values)["S"].verdict == "worse"

    def test_a_reference_that_loses_one_can_only_be_beaten(self) -> None:
        values = {**VALUES, "plain": {**VALUES["plain"], 5: Value(None, lost="diverged")}}
        assert (judged(values)["S"].verdict, judged(values)["C"].verdict) == ("better", "cannot tell")

    def test_both_sides(self) -> None:
        gone = {5: Value(None, lost="diverged")}
        values = {**VALUES, "plain": {**VALUES["plain"], **gone}, "S": {**VALUES["S"], **gone}}
        assert judged(values)["S"].verdict == "cannot tell"


class TestIndependent:
    DESIGN = replace(DESIGN, paired=False)

    def test_a_reference_may_have_more_seeds(self) -> None:
        more = [*PLAIN, 77.90, 78.85, 78.44]
        found = judged(values_of(plain=more, S=S, C=C), self.DESIGN, planned={**PLANNED, "plain": range(9)})["S"]
        assert (found.n, found.n_reference, found.verdict) == (6, 9, "better")
        assert found.estimate == independent(S, more)

    def test_other_seeds_pair_nothing(self) -> None:
        values = {**VALUES, "S": {seed + 100: value for seed, value in VALUES["S"].items()}}
        planned = {**PLANNED, "S": range(100, 106)}
        assert judged(values, self.DESIGN, planned=planned)["S"].verdict == "better"
        assert judged(values, planned=planned)["S"].verdict == "cannot tell"


class TestImages:
    """A claim about new images, too."""

    def values(self, images: int) -> dict[str, dict[int, Value]]:
        generator = np.random.default_rng(0)
        found: dict[str, dict[int, Value]] = {}
        for arm, rate in (("plain", 0.7), ("S", 0.9), ("C", 0.7)):
            found[arm] = {}
            for seed in SEEDS:
                right = 100.0 * (generator.random(images) < rate)
                found[arm][seed] = Value(float(right.mean()), images=lambda right=right: right)
        return found

    def test_it_is_wider_than_one_about_seeds(self) -> None:
        values = self.values(400)
        seeds, images = judged(values), judged(values, replace(DESIGN, scope="images"))
        assert images["S"].verdict == "better"
        assert images["S"].estimate.difference == pytest.approx(seeds["S"].estimate.difference)
        assert images["S"].estimate.se > 0

    def test_it_needs_the_predictions(self) -> None:
        found = judged(design=replace(DESIGN, scope="images"))["S"]
        assert (found.verdict, found.why) == ("cannot tell", "scope images needs the predictions of paired runs")

    def test_of_the_same_images(self) -> None:
        values = self.values(400)
        values["S"][0] = replace(values["S"][0], images=lambda: np.zeros(399))
        assert judged(values, replace(DESIGN, scope="images"))["S"].verdict == "cannot tell"


def test_of_a_loss_the_lower_is_better() -> None:
    design = replace(DESIGN, metric=METRICS["test/loss"])
    found = judged(design=design)
    assert (found["S"].verdict, found["S"].superiority) == ("worse", 0.0)


def test_equal_runs_are_as_sure_as_the_test_set_is_large() -> None:
    values = {arm: {seed: Value(90.0 + shift) for seed in SEEDS} for arm, shift in (("plain", 0), ("S", 1), ("C", 0))}
    assert judged(values)["S"].verdict == "cannot tell"
    found = judged(values, resolution=100 / 360)
    assert found["S"].estimate.se == pytest.approx(100 / 360 / 6**0.5)


def test_one_seed_has_no_spread() -> None:
    found = judged(values_of(plain=PLAIN[:1], S=S[:1], C=C[:1]), planned={arm: [0] for arm in PLANNED})
    assert (found["S"].verdict, found["S"].why, found["S"].estimate) == ("cannot tell", "needs two seeds", None)


def test_an_arm_that_is_not_there_at_all() -> None:
    found = judged(values_of(plain=PLAIN, S=S))
    assert (found["C"].verdict, found["C"].n) == ("cannot tell", 0)


def test_seeds_needed_are_a_range_for_the_margin_and_not_for_what_was_seen() -> None:
    least, most = judged()["S"].seeds_needed
    assert 2 < least < most
    assert judged()["C"].seeds_needed == (least, most)


def test_a_question_in_several_cells() -> None:
    contrasts = [Contrast(f"{net} S", f"{net} plain", cell=net, question="S against plain") for net in "ABC"]
    values = {f"{net} plain": values_of(plain=PLAIN)["plain"] for net in "ABC"}
    values |= {"A S": values_of(S=S)["S"], "B S": values_of(S=S)["S"], "C S": values_of(C=C)["C"]}
    planned = dict.fromkeys(values, SEEDS)
    assert judge(DESIGN, contrasts, values, planned).cells == {"S against plain": (2, 3)}
    fewer = replace(DESIGN, metric=METRICS["test/loss"])
    assert judge(fewer, contrasts, values, planned).cells == {"S against plain": (0, 3)}
