"""What a number of seeds can see, held to simulated experiments."""

import math

import numpy as np
import pytest

from scconv_lab.verdicts import power
from scconv_lab.verdicts.rule import decide, independent, paired

SD, LEVEL = 0.25, 0.01


@pytest.mark.parametrize(("seeds", "known"), [(3, 2.59), (5, 0.93), (8, 0.56), (10, 0.47), (20, 0.30)])
def test_the_detectable_difference_of_five_arms(seeds: int, known: float) -> None:
    assert power.detectable(seeds, sd=SD, level=LEVEL) == pytest.approx(known, abs=0.005)


@pytest.mark.parametrize(("seeds", "reference"), [(3, None), (5, None), (10, None), (7, 13), (5, 5)])
def test_it_is_seen_in_four_of_five_simulated_experiments(seeds: int, reference: int | None) -> None:
    """The difference that a simulation sees as often lies within 10 % of it."""
    difference = power.detectable(seeds, sd=SD, level=LEVEL, reference_seeds=reference)
    generator = np.random.default_rng(seeds)
    seen = []
    for factor in (0.9, 1.1):
        arms = generator.normal(difference * factor, SD, (1500, seeds))
        others = generator.normal(0, SD, (1500, reference or seeds))
        estimate = paired if reference is None else independent
        verdicts = [
            decide(estimate(arm, other), margin=1e-6, level=LEVEL, higher_is_better=True)
            for arm, other in zip(arms, others, strict=True)
        ]
        seen.append(verdicts.count("better") / len(verdicts))
    assert seen[0] < power.POWER < seen[1]


@pytest.mark.parametrize("ratio", [None, 1.0, 2.0])
@pytest.mark.parametrize("difference", [0.1, 0.3, 1.0])
def test_seeds_for_a_difference_see_it_and_one_less_does_not(difference: float, ratio: float | None) -> None:
    seeds = power.seeds_for(difference, sd=SD, level=LEVEL, ratio=ratio)
    assert seeds is not None
    of_reference = (lambda n: None) if ratio is None else (lambda n: max(2, round(ratio * n)))
    assert power.detectable(seeds, sd=SD, level=LEVEL, reference_seeds=of_reference(seeds)) <= difference
    fewer = seeds - 1
    assert power.detectable(fewer, sd=SD, level=LEVEL, reference_seeds=of_reference(fewer)) > difference


def test_what_ten_thousand_seeds_do_not_see_has_no_number() -> None:
    assert power.seeds_for(0.001, sd=SD, level=LEVEL) is None
    assert power.seeds_for_equivalence(0.001, sd=SD, level=LEVEL) is None


def test_one_seed_sees_nothing() -> None:
    assert power.detectable(1, sd=SD, level=LEVEL) == math.inf
    assert power.detectable(5, sd=SD, level=LEVEL, reference_seeds=1) == math.inf


def test_equal_arms_are_called_equivalent_in_four_of_five() -> None:
    seeds = power.seeds_for_equivalence(0.5, sd=SD, level=LEVEL)
    assert seeds == 10
    generator = np.random.default_rng(0)
    arms, others = generator.normal(0, SD, (2, 1500, seeds))
    verdicts = [
        decide(paired(arm, other), margin=0.5, level=LEVEL, higher_is_better=True)
        for arm, other in zip(arms, others, strict=True)
    ]
    assert verdicts.count("equivalent") / len(verdicts) > power.POWER - 0.03


def test_the_range_of_a_standard_deviation_holds_it_in_95_of_100() -> None:
    generator = np.random.default_rng(0)
    ranges = [power.sd_range(float(sample.std(ddof=1)), 9) for sample in generator.normal(0, 2.0, (2000, 10))]
    assert np.mean([low < 2.0 < high for low, high in ranges]) == pytest.approx(0.95, abs=0.015)
