"""The error of all verdicts of a file together, in simulated worlds where the truth is known."""

from collections.abc import Callable

import numpy as np
import pytest

from scconv_lab.verdicts.rule import decide, independent, paired

ARMS = 5
LEVEL = 0.05 / ARMS
MARGIN = 1.0

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(generator: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    return generator.normal(size=size)


def skewed(generator: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    return generator.exponential(size=size) - 1


def false_verdicts(
    trials: int, seeds: int, reference_seeds: int | None, draw: Draw, sds: list[float], shift: float, correlation: float
) -> float:
    """The share of the experiments with at least one verdict that is wrong.

    Every arm truly differs from the reference by ``shift``: at 0 better and worse are wrong, at the margin equivalent
    and worse are.
    """
    generator = np.random.default_rng([seeds, round(10 * correlation), round(shift), round(sum(sds)), draw is skewed])
    wrong = 0
    for _ in range(trials):
        reference = draw(generator, (reference_seeds or seeds,))
        common = draw(generator, (seeds,)) if correlation else 0.0
        if correlation:
            reference = np.sqrt(1 - correlation) * reference + np.sqrt(correlation) * common
        found = False
        for sd in sds:
            arm = np.sqrt(1 - correlation) * draw(generator, (seeds,)) + np.sqrt(correlation) * common
            estimate = (paired if reference_seeds is None else independent)(shift + sd * arm, reference)
            verdict = decide(estimate, margin=MARGIN, level=LEVEL, higher_is_better=True)
            good = {"better", "cannot tell"} if shift else {"equivalent", "cannot tell"}
            found |= verdict not in good
        wrong += found
    return wrong / trials


WORLDS = [
    *((seeds, None, correlation) for seeds in (3, 5, 10) for correlation in (0.0, 0.5)),
    (7, 13, 0.0),
]


@pytest.mark.parametrize("shift", [0.0, MARGIN], ids=["no difference", "the margin"])
@pytest.mark.parametrize(
    ("draw", "sds"),
    [(normal, [1.0] * 5), (normal, [2.0] + [1.0] * 4), (normal, [2.0] * 5), (skewed, [1.0] * 5)],
    ids=["equal sd", "an arm with twice the sd", "all arms with twice the sd", "skew"],
)
@pytest.mark.parametrize(("seeds", "reference_seeds", "correlation"), WORLDS)
@pytest.mark.parametrize("trials", [1000, pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.full])])
def test_at_most_one_family_in_twenty_has_a_false_verdict(
    trials: int,
    seeds: int,
    reference_seeds: int | None,
    correlation: float,
    draw: Draw,
    sds: list[float],
    shift: float,
) -> None:
    error = false_verdicts(trials, seeds, reference_seeds, draw, sds, shift, correlation)
    assert error <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / trials)  # of 56 worlds one lies 3 beyond by chance


def test_the_count_sees_a_rule_that_errs() -> None:
    """Judging each of five contrasts at .05 errs in about a fifth of the families."""
    generator = np.random.default_rng(0)
    wrong = 0
    for _ in range(300):
        reference = generator.normal(size=10)
        found = [
            decide(paired(generator.normal(size=10), reference), margin=1e-9, level=0.05, higher_is_better=True)
            for _ in range(ARMS)
        ]
        wrong += any(verdict != "cannot tell" for verdict in found)
    assert wrong / 300 > 0.1
