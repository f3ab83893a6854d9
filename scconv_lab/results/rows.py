"""A comparison as rows of plain values: one a run, one an arm, one a contrast."""

from collections.abc import Sequence
from typing import Any

from scconv_lab.results.compare import Comparison
from scconv_lab.verdicts.judge import Judged

Row = dict[str, Any]


def run_rows(comparison: Comparison) -> list[Row]:
    """A row a run; ``counts`` says whether it is part of its arm's mean, and ``why`` if not."""
    design = comparison.question.design
    rows = []
    for run in comparison.runs:
        why = comparison.why_not_counted(run)
        values = {
            f"{checkpoint}/{name}": run.raw(name, checkpoint)
            for checkpoint in ("last", "best")
            for name in ("test/acc1", "test/acc5", "test/loss", "test/brier")
        }
        rows.append(
            {
                "arm": run.arm,
                "seed": run.seed,
                "run": run.folder.name,
                "state": run.state,
                "counts": not why,
                design.metric.name: run.value(design.metric, design.checkpoint).value,
                **values,
                "why": why,
            }
        )
    return rows


def arm_rows(comparison: Comparison) -> list[Row]:
    """A row an arm; values are in the metric's unit."""
    return [
        {
            "arm": row.arm,
            "n": row.n,
            "planned": row.planned,
            "mean": row.mean,
            "sd": row.sd,
            "low": row.interval[0] if row.interval else None,
            "high": row.interval[1] if row.interval else None,
            "params": row.params,
            "macs": row.macs,
            "latency_ms": row.latency_ms,
            "published": row.published,
        }
        for row in comparison.arms
    ]


def contrast_rows(comparison: Comparison) -> list[Row]:
    """A row a contrast: the difference, the interval of its direction, that of the margin, and the verdict."""
    return [
        {
            "arm": judged.contrast.arm,
            "reference": judged.contrast.reference,
            "cell": judged.contrast.cell,
            "verdict": judged.verdict,
            "n": judged.n,
            "n_reference": judged.n_reference,
            "difference": judged.estimate.difference if judged.estimate else None,
            "confidence": 1 - judged.level,
            **_ends("direction", judged.direction_interval),
            **_ends("margin", judged.margin_interval),
            "superiority": judged.superiority,
            "seeds_needed": seeds_in_words(judged),
            "why": judged.why,
        }
        for judged in comparison.contrasts
    ]


def seeds_in_words(judged: Judged) -> str:
    """The seeds that see the margin, as a range: "8 to 21"; empty where that is not known."""
    if judged.seeds_needed is None:
        return ""
    least, most = ("over 10,000" if seeds is None else str(seeds) for seeds in judged.seeds_needed)
    return least if least == most else f"{least} to {most}"


def sentence(judged: Judged, unit: str) -> str:
    """A contrast in a sentence."""
    contrast, place = judged.contrast, f" ({judged.contrast.cell})" if judged.contrast.cell else ""
    if judged.estimate is None or judged.direction_interval is None:
        return f"{contrast.arm} and {contrast.reference}: {judged.verdict}; {judged.why}."
    low, high = judged.direction_interval
    confidence = f"{100 * (1 - judged.level):.3g} %"
    seen = f"{judged.estimate.difference:+.2f} {unit} ({confidence} interval {low:+.2f} to {high:+.2f})"
    words = {
        "better": f"{contrast.arm} is better than {contrast.reference}",
        "worse": f"{contrast.arm} is worse than {contrast.reference}",
        "equivalent": f"{contrast.arm} and {contrast.reference} are equivalent",
        "better, within the margin": f"{contrast.arm} is better than {contrast.reference}, by less than the margin",
        "worse, within the margin": f"{contrast.arm} is worse than {contrast.reference}, by less than the margin",
        "exploratory": f"{contrast.arm} against {contrast.reference}, exploratory",
    }
    said = words.get(judged.verdict, f"{contrast.arm} against {contrast.reference}: {judged.verdict}")
    return f"{said}{place}: {seen}{f'; {judged.why}' if judged.why else ''}."


def _ends(name: str, interval: Sequence[float] | None) -> Row:
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}
