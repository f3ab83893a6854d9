"""The rule: when an arm is better than a reference, worse, equivalent, or when nobody can tell.

With d the mean difference and se its standard error on df degrees of freedom, a the level of one contrast (.05 shared
over the contrasts of a file, and over its looks) and t(p) the upper p quantile of Student's t:

    better or worse   |d| > t(a / 2) se
    equivalent        |d| + t(a) se < margin

Both can hold: better, within the margin. For any true difference only one of the two can be a false verdict, so one
Bonferroni over the contrasts covers both tests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import optimize, special

Verdict = Literal[
    "better", "worse", "equivalent", "better, within the margin", "worse, within the margin", "cannot tell"
]


_LEAST_TAIL = 1e-12


@dataclass(frozen=True)
class Estimate:
    """A mean difference, arm less reference, and how well it is known.

    Args:
        difference: In the metric's unit.
        parts: The variance of the difference as a sum of independent parts, each with its degrees of freedom: one part
            where runs are paired, one of each arm where they are not.
    """

    difference: float
    parts: tuple[tuple[float, float], ...]

    @property
    def se(self) -> float:
        """The standard error of the difference; 0 only where there is no spread and no resolution to floor it by."""
        return math.sqrt(sum(variance for variance, _ in self.parts))

    def quantile(self, tail: float) -> float:
        """The upper ``tail`` quantile of difference / se: Student's t of one part, Cochran and Cox's of several."""
        if not self.se:
            return math.inf
        return sum(variance * _t(tail, df) for variance, df in self.parts) / self.se**2

    def interval(self, level: float) -> tuple[float, float]:
        """The two-sided interval of confidence 1 - ``level``; it is a point where the standard error is 0."""
        half = self.quantile(level / 2) * self.se if self.se else 0.0
        return self.difference - half, self.difference + half

    def p_value(self) -> float:
        """Two-sided, of no difference; 1 where the standard error is 0, which nothing can be read from."""
        if not self.se or not self.difference:
            return 1.0
        ratio = abs(self.difference) / self.se
        if len(self.parts) == 1:
            return 2 * float(special.stdtr(self.parts[0][1], -ratio))
        if ratio >= self.quantile(_LEAST_TAIL):
            return 2 * _LEAST_TAIL
        ends = math.log(_LEAST_TAIL), math.log(0.5)
        found: Any = optimize.brentq(lambda tail: self.quantile(math.exp(tail)) - ratio, *ends)
        return 2 * math.exp(found)


def _t(tail: float, df: float) -> float:
    """The upper quantile of Student's t."""
    return -float(special.stdtrit(df, tail))


def paired(arm: Sequence[float], reference: Sequence[float], *, resolution: float = 0.0) -> Estimate:
    """Estimate from runs that share a seed.

    Args:
        arm: A value a seed, at least two.
        reference: The values of the same seeds, in the same order.
        resolution: The least step of the metric, such as 100 / N points of N test images; the standard deviation of
            the differences is never taken for less, since equal values are equal only up to it.
    """
    differences = np.subtract(arm, reference)
    n = len(differences)
    sd = max(float(differences.std(ddof=1)), resolution)
    return Estimate(float(differences.mean()), ((sd**2 / n, n - 1),))


def independent(arm: Sequence[float], reference: Sequence[float], *, resolution: float = 0.0) -> Estimate:
    """Estimate from runs that share nothing; standard deviations and numbers may differ.

    The standard error is Welch's, and its quantile that of Cochran and Cox (Experimental Designs, 1950): the mean of
    both arms' t, weighted by their variances. It is never too small; Welch's own degrees of freedom err in 6 % of the
    families instead of 5 % where seven seeds of arms that vary twice as much are compared with thirteen of a reference
    (tests/verdicts/test_worlds.py).

    Args:
        arm: A value a run, at least two.
        reference: The same of the reference.
        resolution: As of `paired`, of each arm's standard deviation.
    """
    parts = tuple(
        (max(float(np.std(values, ddof=1)), resolution) ** 2 / len(values), len(values) - 1)
        for values in (arm, reference)
    )
    return Estimate(float(np.mean(arm) - np.mean(reference)), parts)


def over_images(arm: np.ndarray, reference: np.ndarray) -> Estimate:
    """Estimate for new seeds and new images of the same kind: a two-way random-effects analysis of the differences.

    More seeds do not shrink the part of the images. With mean squares MS of seeds, images and residual,
    v = max(MS_seed + MS_image - MS_residual, MS_seed) / (n N), and df = (n - 1) (v / (MS_seed / (n N)))^2.

    Args:
        arm: (n, N), the value of each of N > 1 test images for each of n > 1 seeds, such as 100 where it is right.
        reference: The same, of the same seeds and images.
    """
    differences = np.asarray(arm, float) - np.asarray(reference, float)
    n, images = differences.shape
    mean = float(differences.mean())
    by_seed, by_image = differences.mean(axis=1), differences.mean(axis=0)
    ms_seed = images * float(((by_seed - mean) ** 2).sum()) / (n - 1)
    ms_image = n * float(((by_image - mean) ** 2).sum()) / (images - 1)
    residual = differences - by_seed[:, None] - by_image[None, :] + mean
    ms_residual = float((residual**2).sum()) / ((n - 1) * (images - 1))
    resolution = float(np.abs(differences).max()) / images
    ms_seed = max(ms_seed, images * resolution**2)
    variance = max(ms_seed + ms_image - ms_residual, ms_seed) / (n * images)
    if not variance:
        return Estimate(mean, ((0.0, n - 1),))
    return Estimate(mean, ((variance, (n - 1) * (variance / (ms_seed / (n * images))) ** 2),))


def decide(estimate: Estimate, *, margin: float, level: float, higher_is_better: bool) -> Verdict:
    """Apply the rule.

    Args:
        estimate: The difference.
        margin: Differences below it do not matter, in the unit of the difference; above 0.
        level: Of this contrast, above 0 and below 1; the family's share.
        higher_is_better: Whether a difference above 0 is for the better.
    """
    if not estimate.se:
        return "cannot tell"
    low, high = estimate.interval(level)
    near_low, near_high = estimate.interval(2 * level)
    within = -margin < near_low and near_high < margin
    if low <= 0 <= high:
        return "equivalent" if within else "cannot tell"
    if (estimate.difference > 0) == higher_is_better:
        return "better, within the margin" if within else "better"
    return "worse, within the margin" if within else "worse"


def superiority(arm: Sequence[float], reference: Sequence[float]) -> float:
    """Estimate the probability that a run of the arm has a higher value than one of the reference.

    Mann and Whitney's statistic; a tie counts half.
    """
    found = np.sign(np.subtract.outer(np.asarray(arm, float), np.asarray(reference, float)))
    return float((found + 1).mean() / 2)


def cells_shown(p_values: Sequence[float], *, level: float) -> int:
    """In how many cells at least an effect is shown, by Bonferroni's partial conjunction (Dror et al., TACL 2017).

    The p-value of "in at least u of m cells" is (m - u + 1) p(u) with p(1) <= ... <= p(m); the answer is the greatest u
    up to which all are at most ``level``.

    Args:
        p_values: One-sided, one a cell.
        level: Of the statement.
    """
    ordered = sorted(p_values)
    shown = 0
    for p_value in ordered:
        if (len(ordered) - shown) * p_value > level:
            break
        shown += 1
    return shown
