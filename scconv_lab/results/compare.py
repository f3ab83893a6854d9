"""Puts runs, design and rule together: rows of runs, of arms and of contrasts."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scconv_lab.results.agree import same_test_set, set_aside_what_differs
from scconv_lab.results.measured import Measured
from scconv_lab.verdicts.design import Design, Labels
from scconv_lab.verdicts.judge import CANNOT_TELL, EXPLORATORY, Judged, judge
from scconv_lab.verdicts.rule import Estimate


@dataclass(frozen=True)
class Question:
    """What is asked of some runs.

    Args:
        name: Of the sweep, or of the folders.
        arms: The labels of each arm on each axis, by its name, in the order of the tables.
        design: How they are compared.
        planned: The seeds of each arm.
        published: What a paper has for an arm, in the metric's unit, by its name.
        source: Of what is published; empty if nothing is.
        file: The sweep's; None of folders.
        launch: The options with which its runs were launched.
        exploratory: Why verdicts are no planned ones; empty if they are.
    """

    name: str
    arms: Mapping[str, Labels]
    design: Design
    planned: Mapping[str, Sequence[int]]
    published: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    file: Path | None = None
    launch: str = ""
    exploratory: str = ""


@dataclass(frozen=True)
class ArmRow:
    """What the runs of an arm came to.

    Args:
        arm: Its name.
        n: Runs that count.
        planned: Seeds that are planned.
        mean: Of the metric, in its unit; None of no run.
        sd: Over seeds; None of fewer than two.
        interval: Of the mean at 95 % confidence, by a standard deviation of at least one image; None of fewer than two.
        params: Parameters; None if not known.
        macs: Multiply-accumulates of one image; None if not known.
        latency_ms: Median time of one image in ms where runs measured it; None where none did.
        published: What a paper has, in the metric's unit.
    """

    arm: str
    n: int
    planned: int
    mean: float | None
    sd: float | None
    interval: tuple[float, float] | None
    params: int | None
    macs: int | None
    latency_ms: float | None
    published: float | None


@dataclass(frozen=True)
class Comparison:
    """All that is known: every run, every arm, every contrast."""

    question: Question
    runs: tuple[Measured, ...]
    arms: tuple[ArmRow, ...]
    contrasts: tuple[Judged, ...]
    cells: Mapping[str, tuple[int, int]]

    @property
    def not_counted(self) -> list[tuple[Measured, str]]:
        """Each run without a value that counts, and why."""
        return [(run, why) for run in self.runs if (why := self.why_not_counted(run))]

    def why_not_counted(self, run: Measured) -> str:
        """Why a run does not count; empty if it does."""
        if run.state != "done":
            return ": ".join(part for part in (_STATES.get(run.state, run.state), run.note) if part)
        design = self.question.design
        value = run.value(design.metric, design.checkpoint)
        if value.lost:
            return f"{design.metric.name} is not finite"
        if value.value is None:
            lacks = f"results.json lacks {design.metric.name} of {design.checkpoint}.ckpt"
            return f"{lacks}; `scconv-lab results --fill` adds it"
        if run.seed not in self.question.planned.get(run.arm, [run.seed]):
            return "not a planned seed"
        return ""

    @property
    def has_verdict(self) -> bool:
        """Whether at least one contrast could be judged, or none is asked for."""
        return not self.contrasts or any(
            judged.look is not None or judged.verdict == EXPLORATORY for judged in self.contrasts
        )


_STATES = {"new": "not run", "differs": "differs", "stopped": "stopped early"}


def compare(question: Question, runs: Sequence[Measured]) -> Comparison:
    """Judge runs by a design.

    Args:
        question: The design, and the arms.
        runs: Of those arms.

    Raises:
        UserError: (a ValueError) if the design names what is not there.
    """
    design = question.design
    checked = set_aside_what_differs(runs, recipe=question.file is None)
    contrasts = design.contrasts(question.arms)
    by_arm = {arm: [run for run in checked if run.arm == arm] for arm in question.arms}
    values = {
        arm: {
            run.seed: run.value(design.metric, design.checkpoint) for run in arm_runs if run.state == "done" or run.lost
        }
        for arm, arm_runs in by_arm.items()
    }
    images = [count for run in checked if run.state == "done" and (count := run.results.get("test_images"))]
    resolution = 100 / min(images) if images and design.metric.counts_images else 0.0
    judged = judge(
        design,
        contrasts,
        values,
        question.planned,
        resolution=resolution,
        exploratory=question.exploratory,
    )
    return Comparison(
        question,
        tuple(checked),
        tuple(_arm_row(question, arm, arm_runs, resolution) for arm, arm_runs in by_arm.items()),
        tuple(_of_one_test_set(each, by_arm) for each in judged.judged),
        judged.cells,
    )


def _of_one_test_set(judged: Judged, by_arm: Mapping[str, Sequence[Measured]]) -> Judged:
    """Take back a verdict between runs that were tested on other images."""
    contrast = judged.contrast
    if same_test_set(by_arm[contrast.arm], by_arm[contrast.reference]):
        return judged
    return Judged(contrast, judged.n, judged.n_reference, CANNOT_TELL, why="the two were tested on other images")


def _arm_row(question: Question, arm: str, runs: Sequence[Measured], resolution: float) -> ArmRow:
    design, planned = question.design, question.planned.get(arm)
    counted = [run for run in runs if run.state == "done" and (planned is None or run.seed in planned)]
    found = [value for run in counted if (value := run.value(design.metric, design.checkpoint).value) is not None]
    mean = statistics.fmean(found) if found else None
    sd = statistics.stdev(found) if len(found) > 1 else None
    interval = None
    if mean is not None and sd is not None:
        interval = Estimate(mean, ((max(sd, resolution) ** 2 / len(found), len(found) - 1),)).interval(0.05)
    latencies = [run.results["perf/latency_ms"] for run in counted if "perf/latency_ms" in run.results]
    return ArmRow(
        arm=arm,
        n=len(found),
        planned=len(planned) if planned is not None else len(runs),
        mean=mean,
        sd=sd,
        interval=interval,
        params=_first(counted, "params"),
        macs=_first(counted, "macs"),
        latency_ms=statistics.median(latencies) if latencies else None,
        published=question.published.get(arm),
    )


def _first(runs: Sequence[Measured], key: str) -> Any:
    return next((run.results[key] for run in runs if run.results.get(key) is not None), None)
