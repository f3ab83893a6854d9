"""The rule on data whose verdicts other programs have found: scipy 1.17.1 and statsmodels 0.15.0."""

import math

import numpy as np
import pytest
from scipy import stats

from scconv_lab.verdicts.rule import Estimate, cells_shown, decide, independent, over_images, paired, superiority

ARM = [78.61, 79.02, 78.35, 78.90, 78.77, 79.31]
REFERENCE = [78.20, 78.55, 78.41, 78.12, 78.66, 78.30]
MORE = [*REFERENCE, 77.90, 78.85, 78.44]


def verdict(estimate: Estimate, *, margin: float = 0.5, level: float = 0.01, higher: bool = True) -> str:
    return decide(estimate, margin=margin, level=level, higher_is_better=higher)


class TestPaired:
    def test_it_is_the_paired_t_test(self) -> None:
        found = paired(ARM, REFERENCE)
        known = stats.ttest_rel(ARM, REFERENCE)
        assert found.difference / found.se == pytest.approx(known.statistic)
        assert found.p_value() == pytest.approx(known.pvalue)

    def test_intervals_are_statsmodels(self) -> None:
        """DescrStatsW(differences).tconfint_mean(.01) and (.02)."""
        found = paired(ARM, REFERENCE)
        assert found.interval(0.01) == pytest.approx((-0.20516772687350038, 1.1118343935401667))
        assert found.interval(0.02) == pytest.approx((-0.09620322348997035, 1.0028698901566366))

    @pytest.mark.parametrize(("margin", "p_value"), [(1.5, 0.0006858600726474667), (0.8, 0.04360258263582093)])
    def test_equivalence_is_that_of_two_one_sided_tests(self, margin: float, p_value: float) -> None:
        """The p-values of ttost_paired(ARM, REFERENCE, -margin, margin)."""
        equivalent = {
            level: "within" in verdict(paired(ARM, REFERENCE), margin=margin, level=level)
            or verdict(paired(ARM, REFERENCE), margin=margin, level=level) == "equivalent"
            for level in (p_value * 1.001, p_value * 0.999)
        }
        assert list(equivalent.values()) == [True, False]

    def test_equal_runs_differ_by_less_than_the_resolution(self) -> None:
        """Without a floor three equal differences would be infinitely sure."""
        same = paired([90.0, 90.0, 90.0], [89.5, 89.5, 89.5], resolution=100 / 360)
        assert same.se == pytest.approx(100 / 360 / math.sqrt(3))
        assert verdict(same) == "cannot tell"
        assert verdict(paired([90.0, 91.0], [89.0, 90.0])) == "cannot tell"
        assert paired([1.0, 1.0], [1.0, 1.0]).p_value() == 1.0


class TestIndependent:
    def test_the_standard_error_is_welchs(self) -> None:
        found = independent(ARM, MORE)
        assert found.difference / found.se == pytest.approx(2.67437059597263)  # ttest_ind(usevar="unequal")

    def test_it_is_never_surer_than_welch(self) -> None:
        found = independent(ARM, MORE)
        assert found.p_value() > 0.023784248516489317
        low, high = found.interval(0.01)
        assert low < -0.0853900322925164
        assert high > 0.9765011434036034

    def test_its_quantile_lies_between_those_of_both_arms(self) -> None:
        found = independent(ARM, MORE)
        assert stats.t.isf(0.005, 8) < found.quantile(0.005) < stats.t.isf(0.005, 5)

    def test_its_p_value_is_where_its_interval_ends_at_zero(self) -> None:
        found = independent(ARM, MORE)
        assert found.interval(found.p_value())[0] == pytest.approx(0, abs=1e-9)
        assert independent([1.0, 1.1], [9e9, 9e9 + 1]).p_value() < 1e-9

    def test_of_equal_numbers_and_one_variance_it_is_students_with_the_smaller_df(self) -> None:
        assert independent([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]).quantile(0.05) == pytest.approx(stats.t.isf(0.05, 2))


class TestVerdict:
    @pytest.mark.parametrize(
        ("difference", "se", "expected"),
        [
            (1.0, 0.1, "better"),
            (-1.0, 0.1, "worse"),
            (0.05, 0.05, "equivalent"),
            (0.3, 0.03, "better, within the margin"),
            (-0.3, 0.03, "worse, within the margin"),
            (0.3, 0.3, "cannot tell"),
            (0.6, 0.3, "cannot tell"),
        ],
    )
    def test_words(self, difference: float, se: float, expected: str) -> None:
        assert verdict(Estimate(difference, ((se**2, 20.0),))) == expected

    @pytest.mark.parametrize("difference", [1.0, -1.0, 0.3, -0.3])
    def test_of_a_loss_the_lower_is_better(self, difference: float) -> None:
        estimate, mirrored = (Estimate(sign * difference, ((0.0009, 20.0),)) for sign in (1, -1))
        assert verdict(estimate, higher=False) == verdict(mirrored)

    def test_without_spread_nothing_is_said(self) -> None:
        assert verdict(Estimate(1.0, ((0.0, 2.0),))) == "cannot tell"

    def test_what_was_tested_is_what_is_drawn(self) -> None:
        """Equivalence is read from the interval of twice the level, direction from that of the level."""
        estimate = Estimate(0.2, ((0.01, 12.0),))
        for margin in np.linspace(0.2, 1, 200):
            low, high = estimate.interval(0.02)
            assert ("equivalent" in verdict(estimate, margin=margin)) == (-margin < low and high < margin)


class TestImages:
    def test_more_seeds_do_not_shrink_the_part_of_the_images(self) -> None:
        generator = np.random.default_rng(0)
        images = generator.normal(size=(1, 300))
        few, many = (images + 0.1 * generator.normal(size=(n, 300)) for n in (5, 200))
        least = float(images.std(ddof=1)) / math.sqrt(300)
        assert over_images(few, np.zeros_like(few)).se == pytest.approx(least, rel=0.05)
        assert over_images(many, np.zeros_like(many)).se == pytest.approx(least, rel=0.05)

    def test_without_an_effect_of_images_it_is_the_paired_test(self) -> None:
        """Where the mean square of images is below the residual's, that of seeds alone counts."""
        generator = np.random.default_rng(3)
        arm = generator.normal(size=(6, 1)) + 0.001 * generator.normal(size=(6, 50))
        found = over_images(arm, np.zeros_like(arm))
        known = paired(arm.mean(axis=1).tolist(), [0.0] * 6)
        assert found.se == pytest.approx(known.se, rel=1e-3)
        assert found.parts[0][1] == pytest.approx(5, rel=1e-2)

    def test_its_error_is_what_is_promised(self) -> None:
        """New seeds and new images each time, no true difference."""
        generator = np.random.default_rng(1)
        wrong = 0
        for _ in range(400):
            parts = (
                generator.normal(size=(8, 1)),
                3 * generator.normal(size=(1, 40)),
                5 * generator.normal(size=(8, 40)),
            )
            wrong += over_images(sum(parts), np.zeros((8, 40))).p_value() < 0.05
        assert wrong / 400 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)

    def test_equal_runs_say_nothing(self) -> None:
        assert over_images(np.ones((3, 10)), np.ones((3, 10))).se == 0


def test_superiority_is_mann_and_whitneys() -> None:
    assert superiority(ARM, MORE) == pytest.approx(stats.mannwhitneyu(ARM, MORE).statistic / 54)
    assert superiority([1.0, 2.0], [1.0, 2.0]) == 0.5
    assert superiority([3.0], [1.0, 2.0]) == 1.0


@pytest.mark.parametrize(
    ("p_values", "shown"),
    [
        ([0.001, 0.001, 0.001], 3),
        ([0.001, 0.02, 0.9], 2),  # 3 x .001, 2 x .02, 1 x .9
        ([0.02, 0.001, 0.04], 3),
        ([0.02, 0.02, 0.02], 0),  # 3 x .02 is above .05, whatever the rest
        ([0.5], 0),
        ([], 0),
    ],
)
def test_in_how_many_cells(p_values: list[float], shown: int) -> None:
    assert cells_shown(p_values, level=0.05) == shown
