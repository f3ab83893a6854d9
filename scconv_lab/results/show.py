"""A comparison on the screen: arms, contrasts, what does not count, and the verdicts."""

from collections.abc import Sequence
from textwrap import fill

from rich.text import Text

from scconv_lab.results.compare import Comparison
from scconv_lab.results.rows import seeds_in_words
from scconv_lab.terminal.tables import print_table, terminal_width

_MOST_RUNS = 100
"""Rows of runs that a screen is good for."""
_WIDTH = 120  # columns of a log file
_FOUND = ("better", "worse", "equivalent")


def print_comparison(comparison: Comparison, *, with_runs: bool) -> None:
    """Print the tables.

    Args:
        comparison: What to print.
        with_runs: Whether a row a run comes first, of up to 100 runs.
    """
    _say(heading(comparison))
    if with_runs and len(comparison.runs) <= _MOST_RUNS:
        print()
        _print_runs(comparison)
    print()
    _print_arms(comparison)
    if comparison.contrasts:
        print()
        _print_contrasts(comparison)
    for question, (shown, cells) in comparison.cells.items():
        _say(f"cells    {question}: better in at least {shown} of {cells}")
    for text in left_out(comparison):
        _say(f"left out {text}")


def heading(comparison: Comparison) -> str:
    """What is measured, and how it is judged, in a line."""
    question, design = comparison.question, comparison.question.design
    unit = "" if design.metric.unit == "nats" else f" in {design.metric.unit}"
    parts = [f"{design.metric.name}{unit} of {design.checkpoint}.ckpt ({design.metric.better} is better)"]
    if comparison.contrasts:
        seeds = f"{design.looks[-1]} seeds planned" if design.looks else ""
        looks = f", looked at after {' and '.join(map(str, design.looks))}" if len(design.looks) > 1 else ""
        margin = f"margin {design.margin:g}" if design.margin is not None else "no margin"
        parts += [part for part in (f"{seeds}{looks}", margin, "paired" if design.paired else "independent") if part]
        parts.append("for new seeds on this test set" if design.scope == "seeds" else "for new seeds and new images")
    if question.source:
        aside = next((run.results["val_images"] for run in comparison.runs if "val_images" in run.results), 0)
        protocol = f"these runs set {aside:,} training images aside" if aside else "no image is set aside here"
        parts.append(f"published: {question.source}; {protocol}")
    return f"results  {question.name}: {'; '.join(parts)}"


def _print_runs(comparison: Comparison) -> None:
    design = comparison.question.design
    rows = []
    for run in comparison.runs:
        if run.state == "new":
            continue
        value = run.value(design.metric, design.checkpoint).value
        rows.append([run.arm, str(run.seed), run.folder.name, run.state, f"{value:.2f}" if value is not None else ""])
    print_table(["arm", "seed", "run", "state", design.metric.name], rows, texts=("arm", "run", "state"), fold=("arm",))


def _print_arms(comparison: Comparison) -> None:
    columns = ["arm", "n", comparison.question.design.metric.name, "sd", "95 % interval", "params", "MACs"]
    latency = any(row.latency_ms is not None for row in comparison.arms)
    published = any(row.published is not None for row in comparison.arms)
    columns += ["ms"] * latency + ["published"] * published
    rows = []
    for row in comparison.arms:
        cells = [
            row.arm,
            str(row.n) if row.n == row.planned else f"{row.n} of {row.planned}",
            f"{row.mean:.2f}" if row.mean is not None else "",
            f"{row.sd:.2f}" if row.sd is not None else "",
            f"{row.interval[0]:.2f} to {row.interval[1]:.2f}" if row.interval else "",
            f"{row.params:,}" if row.params is not None else "",
            f"{row.macs:,}" if row.macs is not None else "",
        ]
        cells += [f"{row.latency_ms:.2f}" if row.latency_ms is not None else ""] * latency
        cells += [f"{row.published:.2f}" if row.published is not None else ""] * published
        rows.append(cells)
    print_table(columns, rows, texts=("arm",), fold=("arm",), optional=("95 % interval", "MACs", "params"))


def _print_contrasts(comparison: Comparison) -> None:
    """The intervals are headed by their confidence where all contrasts have the same, as at one look."""
    levels = {judged.level for judged in comparison.contrasts}
    level = levels.pop() if len(levels) == 1 else None
    named = [f"{100 * (1 - part):.4g} %" for part in (level, 2 * level)] if level else ["direction", "margin"]
    columns = ["contrast", "n", "difference", *named, "P(better)", "verdict"]
    rows = []
    for judged in comparison.contrasts:
        estimate = judged.estimate
        n = str(judged.n) if judged.n == judged.n_reference else f"{judged.n}, {judged.n_reference}"
        intervals = [_interval(judged.direction_interval), _interval(judged.margin_interval)]
        chance = f"{judged.superiority:.2f}" if judged.superiority is not None else ""
        difference = f"{estimate.difference:+.2f}" if estimate else ""
        verdict = Text(judged.verdict, style="bold" if judged.verdict.startswith(_FOUND) else "")
        rows.append([str(judged.contrast), n, difference, *intervals, chance, verdict])
    texts = ("contrast", "verdict")
    print_table(columns, rows, texts=texts, fold=texts, optional=("P(better)", named[1], "n"))
    _say("better and worse are read from the first interval, equivalent from the second")
    needed = {words for judged in comparison.contrasts if (words := seeds_in_words(judged))}
    for words in sorted(needed) if len(needed) == 1 else []:
        _say(f"needed   {words} seeds to see the margin in 4 of 5 experiments, by how much seeds vary here")
    whys: dict[str, list[str]] = {}
    for judged in comparison.contrasts:
        whys.setdefault(judged.why, []).append(str(judged.contrast))
    for why, contrasts in whys.items():
        if why:
            which = "all contrasts" if len(contrasts) == len(comparison.contrasts) else ", ".join(contrasts)
            _say(f"note     {which}: {why}")


def _say(text: str) -> None:
    """Print a line, wrapped to the terminal under its values."""
    print(fill(text, terminal_width(_WIDTH), subsequent_indent=" " * 9, break_on_hyphens=False))


def _interval(ends: tuple[float, float] | None) -> str:
    return f"{ends[0]:+.2f}, {ends[1]:+.2f}" if ends else ""


def left_out(comparison: Comparison) -> list[str]:
    """Runs that do not count, those of one reason and of the same seeds in a line."""
    found: list[str] = []
    groups: dict[str, dict[str, list[int]]] = {}
    for run, why in comparison.not_counted:
        groups.setdefault(why, {}).setdefault(run.arm, []).append(run.seed)
    for why, arms in groups.items():
        seeds: dict[tuple[int, ...], list[str]] = {}
        for arm, of_arm in arms.items():
            seeds.setdefault(tuple(of_arm), []).append(arm)
        for numbers, names in seeds.items():
            found.append(f"{', '.join(names)}, seed {ranges(numbers)}: {why}")
    return found


def ranges(numbers: Sequence[int]) -> str:
    """Whole numbers in ascending order, those in a row as a range: "0, 3-9"."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
