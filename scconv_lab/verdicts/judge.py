"""Applies the rule to the runs of a sweep, by its design."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scconv_lab.verdicts import power
from scconv_lab.verdicts.design import ALPHA, Contrast, Design
from scconv_lab.verdicts.rule import Estimate, cells_shown, decide, independent, over_images, paired, superiority

EXPLORATORY = "exploratory"
"""In place of a verdict where what is compared, or how, was not planned before the runs."""
CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Value:
    """What one seed of an arm came to.

    Args:
        value: Of the metric, in its unit; None without one.
        lost: Why there is none, by the run's own doing: "diverged" or "stopped early". Empty for a run that is
            finished, not yet finished, or that the machine has failed.
        images: Gives the value of each test image, in the unit of the metric; None where that is not known.
    """

    value: float | None
    lost: str = ""
    images: Callable[[], np.ndarray] | None = None


Values = Mapping[str, Mapping[int, Value]]
"""By arm and seed."""


@dataclass(frozen=True)
class Judged:
    """A contrast and what is known of it.

    Args:
        contrast: What is compared.
        n: Seeds of the arm that count.
        n_reference: Seeds of the reference that count.
        verdict: In the words of `scconv_lab.verdicts.rule.Verdict`, or `EXPLORATORY`.
        why: What stands in the way of a verdict, and which seeds are left out; empty if nothing.
        estimate: The difference; None of fewer than two seeds.
        look: The planned look at which it is judged, from 0; None if there is none.
        level: Of the two-sided test; the contrast's share of .05 where there is no look.
        superiority: Estimated probability that a run of the arm is better than one of the reference.
        seeds_needed: The least and the most seeds that may be needed to see the margin with a power of 80 %, by the
            interval of the standard deviation; each None where it is over 10,000.
    """

    contrast: Contrast
    n: int
    n_reference: int
    verdict: str
    why: str = ""
    estimate: Estimate | None = None
    look: int | None = None
    level: float = ALPHA
    superiority: float | None = None
    seeds_needed: tuple[int | None, int | None] | None = None

    @property
    def direction_interval(self) -> tuple[float, float] | None:
        """What better and worse are read from: of confidence 1 - level."""
        return self.estimate.interval(self.level) if self.estimate else None

    @property
    def margin_interval(self) -> tuple[float, float] | None:
        """What equivalence is read from: of confidence 1 - 2 level."""
        return self.estimate.interval(2 * self.level) if self.estimate else None


@dataclass(frozen=True)
class Judgement:
    """All contrasts of a design.

    Args:
        judged: One by one.
        cells: For each question that is asked in several cells, in how many the arm is shown to be better, at least,
            and of how many.
    """

    judged: tuple[Judged, ...]
    cells: Mapping[str, tuple[int, int]]


def judge(
    design: Design,
    contrasts: Sequence[Contrast],
    values: Values,
    planned: Mapping[str, Sequence[int]],
    *,
    resolution: float = 0.0,
    exploratory: str = "",
) -> Judgement:
    """Judge every contrast at the last planned look whose seeds its two arms have.

    Args:
        design: What was planned.
        contrasts: The listed ones, which share the error.
        values: What the runs came to.
        planned: The seeds of each arm in the order of the file. At a look of n each arm has its first n; at the last
            look it has all.
        resolution: The least step of the metric, in its unit: that of one test image for an accuracy; 0 of others.
        exploratory: Why the verdicts are no planned ones; empty if they are.
    """
    judging = _Judging(design, len(contrasts), values, planned, resolution, exploratory)
    found = tuple(judging.one(contrast) for contrast in contrasts)
    return Judgement(found, _over_cells(found, design.metric.higher_is_better))


class _Judging:
    """What all contrasts of a design have in common."""

    def __init__(
        self,
        design: Design,
        contrasts: int,
        values: Values,
        planned: Mapping[str, Sequence[int]],
        resolution: float,
        exploratory: str,
    ) -> None:
        self.design = design
        self.contrasts = contrasts
        self.values = values
        self.planned = planned
        self.resolution = resolution
        self.sd = _spread(values, self.resolution)
        self.why = exploratory or ("no margin was planned" if design.margin is None else "")

    def one(self, contrast: Contrast) -> Judged:
        """Judge one contrast."""
        look = self._look(contrast)
        arm, reference = self._side(contrast.arm, look), self._side(contrast.reference, look)
        notes = [*_in_words(contrast.arm, arm), *_in_words(contrast.reference, reference)]
        ours, theirs = _with_value(arm), _with_value(reference)
        if self.design.paired:
            if single := sorted(ours.keys() ^ theirs.keys()):
                notes.append(f"seed {', '.join(map(str, single))} left out, which only one of the two has")
            both = sorted(ours.keys() & theirs.keys())
            ours, theirs = ({seed: side[seed] for seed in both} for side in (ours, theirs))
        level = ALPHA / self.contrasts if look is None else self.design.level(self.contrasts, look)
        unjudged = EXPLORATORY if self.why else CANNOT_TELL
        judged = Judged(contrast, len(ours), len(theirs), unjudged, look=look, level=level)
        if min(len(ours), len(theirs)) < 2:
            return replace(judged, why="; ".join([self.why or "needs two seeds", *notes]))
        estimate = self._estimate(ours, theirs)
        if estimate is None:
            return replace(judged, why="; ".join(["scope images needs the predictions of paired runs", *notes]))
        higher = superiority([entry.value for entry in ours.values()], [entry.value for entry in theirs.values()])
        judged = replace(
            judged,
            estimate=estimate,
            superiority=higher if self.design.metric.higher_is_better else 1 - higher,
            seeds_needed=self._seeds_needed(len(theirs) / len(ours)),
        )
        if look is None or self.design.margin is None:
            return replace(judged, why="; ".join([self.why or "not all planned seeds are there", *notes]))
        better = self.design.metric.higher_is_better
        verdict = decide(estimate, margin=self.design.margin, level=level, higher_is_better=better)
        lost = tuple(any(entry.lost for entry in side.values() if entry) for side in (arm, reference))
        return replace(judged, verdict=_of_survivors(verdict, *lost), why="; ".join(notes))

    def _look(self, contrast: Contrast) -> int | None:
        """The last planned look whose seeds both arms have."""
        if self.why:
            return None
        arms = (contrast.arm, contrast.reference)
        looks = [look for look in range(len(self.design.looks)) if all(self._complete(arm, look) for arm in arms)]
        return max(looks, default=None)

    def _side(self, arm: str, look: int | None) -> dict[int, Value | None]:
        """The runs of an arm that count: at a planned look those of it, else all that are there."""
        there = self.values.get(arm, {})
        return {seed: there.get(seed) for seed in (sorted(there) if look is None else self._seeds(arm, look))}

    def _seeds(self, arm: str, look: int) -> Sequence[int]:
        last = look == len(self.design.looks) - 1
        return self.planned[arm] if last else self.planned[arm][: self.design.looks[look]]

    def _complete(self, arm: str, look: int) -> bool:
        """Whether each seed of an arm at a look has come to an end of its own."""
        there, seeds = self.values.get(arm, {}), self._seeds(arm, look)
        ended = [seed for seed in seeds if seed in there and (there[seed].value is not None or there[seed].lost)]
        return len(ended) == len(seeds) or (self.design.intersect and len(ended) > 1)

    def _estimate(self, ours: Mapping[int, "_Reached"], theirs: Mapping[int, "_Reached"]) -> Estimate | None:
        if self.design.scope == "images":
            sides = [[entry.images for entry in side.values()] for side in (ours, theirs)]
            known = [[images() for images in side if images is not None] for side in sides]
            if not self.design.paired or len({len(row) for side in known for row in side}) != 1:
                return None
            return over_images(np.stack(known[0]), np.stack(known[1])) if len(known[0]) == len(known[1]) else None
        method = paired if self.design.paired else independent
        values = ([entry.value for entry in side.values()] for side in (ours, theirs))
        return method(*values, resolution=self.resolution)

    def _seeds_needed(self, ratio: float) -> tuple[int | None, int | None] | None:
        if self.design.margin is None or self.sd is None or not self.sd[0]:
            return None
        least, most = (
            power.seeds_for(
                self.design.margin,
                sd=sd,
                level=ALPHA / self.contrasts,
                ratio=None if self.design.paired else ratio,
            )
            for sd in power.sd_range(*self.sd)
        )
        return least, most


@dataclass(frozen=True)
class _Reached:
    value: float
    images: Callable[[], np.ndarray] | None


def _with_value(side: Mapping[int, Value | None]) -> dict[int, _Reached]:
    return {
        seed: _Reached(entry.value, entry.images)
        for seed, entry in side.items()
        if entry is not None and entry.value is not None
    }


def _in_words(name: str, side: Mapping[int, Value | None]) -> list[str]:
    """How many seeds of an arm are lost by their own doing."""
    ways = [entry.lost for entry in side.values() if entry and entry.lost]
    return [f"{name}: {ways.count(way)} of {len(side)} {way}" for way in dict.fromkeys(ways)]


def _of_survivors(verdict: str, arm_lost: bool, reference_lost: bool) -> str:
    """Take back a verdict that favours a side of which only the survivors were measured."""
    if not arm_lost and not reference_lost:
        return verdict
    allowed = "worse" if arm_lost else "better"
    return verdict if arm_lost != reference_lost and verdict == allowed else CANNOT_TELL


def _spread(values: Values, resolution: float) -> tuple[float, int] | None:
    """The standard deviation over seeds, pooled over arms and at least the resolution, and its degrees of freedom."""
    arms = [[entry.value for entry in seeds.values() if entry.value is not None] for seeds in values.values()]
    pooled = power.pooled_sd([(statistics.stdev(arm), len(arm)) for arm in arms if len(arm) > 1])
    return (max(pooled[0], resolution), pooled[1]) if pooled else None


def _over_cells(found: Sequence[Judged], higher_is_better: bool) -> dict[str, tuple[int, int]]:
    """In how many cells each question's arm is shown to be better, at the question's share of .05."""
    questions: dict[str, list[float]] = {}
    for judged in found:
        if judged.contrast.cell and judged.estimate and judged.look is not None:
            half = judged.estimate.p_value() / 2
            p_value = half if (judged.estimate.difference > 0) == higher_is_better else 1 - half
            questions.setdefault(judged.contrast.question, []).append(p_value)
    several = {question: p_values for question, p_values in questions.items() if len(p_values) > 1}
    level = ALPHA / max(len(several), 1)
    return {question: (cells_shown(ps, level=level), len(ps)) for question, ps in several.items()}
