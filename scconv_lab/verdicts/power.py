"""What a number of seeds can see, for plans: by the noncentral t, without correlation between arms."""

import math
from collections.abc import Sequence
from typing import Any

from scipy import optimize, stats

from scconv_lab.verdicts.rule import Estimate

POWER = 0.8
"""Share of the experiments in which a true difference of the size named is seen."""
MOST_SEEDS = 10_000
"""More are not looked for."""


def detectable(seeds: int, *, sd: float, level: float, reference_seeds: int | None = None) -> float:
    """The difference that is seen with a power of 80 %.

    Args:
        seeds: Of each arm, at least 2.
        sd: Standard deviation of an arm over its seeds; the answer has its unit.
        level: Of one contrast, two-sided.
        reference_seeds: Of the reference, where the design is independent; None is a paired design.
    """
    if seeds < 2 or (reference_seeds is not None and reference_seeds < 2):
        return math.inf
    most = 1.0
    while _power(most, seeds, reference_seeds, level) < POWER:
        most *= 2
    found: Any = optimize.brentq(lambda d: _power(d, seeds, reference_seeds, level) - POWER, 0.0, most)
    return sd * float(found)


def seeds_for(difference: float, *, sd: float, level: float, ratio: float | None = None) -> int | None:
    """How many seeds an arm needs to see a difference with a power of 80 %; None if more than 10,000.

    Args:
        difference: Above 0.
        sd: Standard deviation of an arm over its seeds, above 0.
        level: Of one contrast, two-sided.
        ratio: Seeds of the reference for each of an arm, where the design is independent; None is a paired design.
    """

    def enough(seeds: int) -> bool:
        reference = None if ratio is None else max(2, round(ratio * seeds))
        return _power(difference / sd, seeds, reference, level) >= POWER

    if not enough(MOST_SEEDS):
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def seeds_for_equivalence(margin: float, *, sd: float, level: float) -> int | None:
    """How many seeds a paired design needs to call equal arms equivalent with a power of 80 %; None if over 10,000."""

    def enough(seeds: int) -> bool:
        df, se = seeds - 1, sd * math.sqrt(2 / seeds)
        most = margin / se - float(stats.t.isf(level, df))
        return most > 0 and 2 * float(stats.t.cdf(most, df)) - 1 >= POWER

    return next((seeds for seeds in range(2, MOST_SEEDS + 1) if enough(seeds)), None)


def pooled_sd(arms: Sequence[tuple[float, int]]) -> tuple[float, int] | None:
    """The standard deviation over seeds, pooled over arms, and its degrees of freedom; for plans, never to judge.

    Args:
        arms: The standard deviation of each arm and the number of its seeds, at least 2.

    Returns:
        None of no arm.
    """
    df = sum(n - 1 for _, n in arms)
    return (math.sqrt(sum(sd**2 * (n - 1) for sd, n in arms) / df), df) if df else None


def sd_range(sd: float, df: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a standard deviation that was estimated on ``df`` degrees of freedom, by chi square."""
    tail = (1 - confidence) / 2
    return (
        sd * math.sqrt(df / float(stats.chi2.isf(tail, df))),
        sd * math.sqrt(df / float(stats.chi2.isf(1 - tail, df))),
    )


def _power(difference: float, seeds: int, reference_seeds: int | None, level: float) -> float:
    """The power for a difference in standard deviations of an arm; a verdict of the wrong direction sees nothing.

    Of independent arms the limit is that of `scconv_lab.verdicts.rule.independent` at equal standard deviations.
    """
    if reference_seeds is None:
        df, se = seeds - 1, math.sqrt(2 / seeds)
        limit = float(stats.t.isf(level / 2, df))
    else:
        df, se = seeds + reference_seeds - 2, math.sqrt(1 / seeds + 1 / reference_seeds)
        limit = Estimate(0.0, ((1 / seeds, seeds - 1), (1 / reference_seeds, reference_seeds - 1))).quantile(level / 2)
    return float(stats.nct.sf(limit, df, difference / se))
