"""The figures of a report, each with a sentence for who cannot see it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from scconv_lab.results.compare import ArmRow, Comparison
from scconv_lab.results.measured import Measured
from scconv_lab.results.report.style import INK, colour, marker
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.run_folder.progress import progress_of

_WIDTH = 7.0  # inches
_ROW = 0.34
_HEIGHT = 235.0  # points that the vertical axis of a scatter plot has, about
_LINE = 10.0
_SAME_COLUMN = 0.08


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Args:
        name: Of its files.
        title: Above it on the page.
        text: What it shows, in words.
        figure: Of matplotlib.
    """

    name: str
    title: str
    text: str
    figure: Figure


def drawings(comparison: Comparison) -> list[Drawing]:
    """All figures that the runs are good for, in the order of the page."""
    makers: tuple[Callable[[Comparison], Drawing | None], ...] = (
        _forest,
        _runs,
        lambda found: _against(found, "macs", "multiply-accumulates of one image", lambda row: row.macs),
        lambda found: _against(found, "params", "parameters", lambda row: row.params),
        lambda found: _against(found, "latency", "median time of one image in ms", lambda row: row.latency_ms),
        _along_axis,
        _curves,
    )
    return [drawing for make in makers if (drawing := make(comparison)) is not None]


def _forest(comparison: Comparison) -> Drawing | None:
    """Differences with both intervals: what was tested is what is drawn."""
    design = comparison.question.design
    judged = [each for each in comparison.contrasts if each.estimate]
    if not judged:
        return None
    figure = Figure(figsize=(_WIDTH, 1.1 + _ROW * len(judged)), layout="constrained")
    axes = figure.subplots()
    if design.margin is not None:
        axes.axvspan(-design.margin, design.margin, color="#888888", alpha=0.18, lw=0, label="within the margin")
    axes.axvline(0, color=INK, lw=0.8)
    for place, each in enumerate(judged):
        wide, narrow, estimate = each.direction_interval, each.margin_interval, each.estimate
        assert wide is not None
        assert narrow is not None
        assert estimate is not None
        named = ["interval of the direction", "interval of the margin"] if not place else ["", ""]  # once in the legend
        axes.plot([*wide], [place, place], color=colour(0), lw=1.2, label=named[0])
        thick: dict[str, Any] = {"lw": 4, "alpha": 0.55, "solid_capstyle": "butt"}
        axes.plot([*narrow], [place, place], color=colour(0), label=named[1], **thick)
        axes.plot([estimate.difference], [place], "o", color=colour(0), ms=5)
    axes.set_yticks(range(len(judged)), [f"{each.contrast}: {each.verdict}" for each in judged])
    axes.set_ylim(len(judged) - 0.4, -0.6)
    axes.set_xlabel(f"difference of {design.metric.name} in {design.metric.unit} ({design.metric.better} is better)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28 if len(judged) < 8 else -0.12), ncols=3, fontsize=8)
    text = "; ".join(
        f"{each.contrast} {each.estimate.difference:+.2f}, {each.verdict}" for each in judged if each.estimate
    )
    return Drawing("forest", "Differences, and the margin", f"Differences with their intervals. {text}.", figure)


def _runs(comparison: Comparison) -> Drawing | None:
    """Every run that counts, beside the mean of its arm."""
    design = comparison.question.design
    arms = [row for row in comparison.arms if row.mean is not None]
    if not arms:
        return None
    figure = Figure(figsize=(_WIDTH, 1.0 + _ROW * len(arms)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(arms):
        found = _values(comparison, row.arm)
        # spread a little, by seed, so that equal runs are all seen
        heights = [place + 0.22 * ((index % 5) / 4 - 0.5) for index in range(len(found))]
        axes.plot(found, heights, marker(place), color=colour(place), ms=4.5, alpha=0.75, mew=0)
        if row.interval:
            axes.plot([*row.interval], [place + 0.32] * 2, color=INK, lw=1.2)
        axes.plot([row.mean or 0.0], [place + 0.32], "|", color=INK, ms=9, mew=1.6)
        if row.published is not None:
            axes.plot([row.published], [place], "x", color=INK, ms=6)
    axes.set_yticks(range(len(arms)), [row.arm for row in arms])
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.set_xlabel(f"{design.metric.name} in {design.metric.unit}; below each arm its mean and 95 % interval")
    text = "; ".join(f"{row.arm} mean {row.mean:.2f} of {row.n}" for row in arms)
    return Drawing("runs", "Every run", f"A dot for each run, by arm. {text}.", figure)


def _against(comparison: Comparison, name: str, label: str, cost: Callable[[ArmRow], float | None]) -> Drawing | None:
    """The metric against a cost, with the arms that no other beats in both."""
    design = comparison.question.design
    known = [(index, row, cost(row)) for index, row in enumerate(comparison.arms)]
    arms = [(index, row, x) for index, row, x in known if x is not None and row.mean is not None]
    if len({x for _, _, x in arms}) < 2:
        return None
    figure = Figure(figsize=(_WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    best = pareto([(x, row.mean or 0.0) for _, row, x in arms], higher_is_better=design.metric.higher_is_better)
    front = sorted((arms[index][2], arms[index][1].mean or 0.0) for index in best)
    axes.plot(*zip(*front, strict=True), color="#888888", lw=1, ls="--", zorder=0, label="no arm is better and cheaper")
    for index, row, x in arms:
        error = abs(row.interval[1] - (row.mean or 0.0)) if row.interval else None
        axes.errorbar([x], [row.mean or 0.0], yerr=error, fmt=marker(index), color=colour(index), ms=6, lw=1, capsize=2)
    axes.margins(0.12)
    _name_points(axes, [(x, row.mean or 0.0, row.arm) for _, row, x in arms])
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.set_xlabel(label)
    axes.set_ylabel(f"{design.metric.name} in {design.metric.unit}")
    axes.legend(fontsize=8)
    names = ", ".join(arms[index][1].arm for index in best)
    return Drawing(
        name, f"{design.metric.name} against {label}", f"No arm is better and cheaper than: {names}.", figure
    )


def pareto(points: Sequence[tuple[float, float]], *, higher_is_better: bool) -> list[int]:
    """Which of the points (cost, value) no other beats in one without losing in the other."""
    sign = 1 if higher_is_better else -1

    def beaten(cost: float, value: float) -> bool:
        return any(
            other <= cost and sign * theirs >= sign * value and (other, theirs) != (cost, value)
            for other, theirs in points
        )

    return [index for index, point in enumerate(points) if not beaten(*point)]


def _along_axis(comparison: Comparison) -> Drawing | None:
    """The metric along an axis of numbers, such as alpha: the paper's Figure 4."""
    arms = comparison.question.arms
    labels = {name: next(iter(of_arm.values())) for name, of_arm in arms.items() if len(of_arm) == 1}
    numbers = {name: _number(label) for name, label in labels.items()}
    rows = [row for row in comparison.arms if numbers.get(row.arm) is not None and row.mean is not None]
    if len(labels) < len(arms) or len(rows) < 3 or len(rows) < len(comparison.arms):
        return None
    design = comparison.question.design
    axis = labels[rows[0].arm].partition("=")[0]
    rows.sort(key=lambda row: numbers[row.arm] or 0.0)
    figure = Figure(figsize=(_WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    xs, ys = [numbers[row.arm] or 0.0 for row in rows], [row.mean or 0.0 for row in rows]
    errors = [abs(row.interval[1] - (row.mean or 0.0)) if row.interval else 0.0 for row in rows]
    axes.errorbar(xs, ys, yerr=errors, fmt="o-", color=colour(0), lw=1.2, capsize=2)
    for row, x in zip(rows, xs, strict=True):
        found = _values(comparison, row.arm)
        axes.plot([x] * len(found), found, ".", color=colour(0), alpha=0.35, mew=0)
    axes.set_xlabel(axis)
    axes.set_ylabel(f"{design.metric.name} in {design.metric.unit}")
    text = "; ".join(f"{row.arm} {row.mean:.2f}" for row in rows)
    return Drawing("axis", f"{design.metric.name} along {axis}", f"Mean and 95 % interval. {text}.", figure)


def _curves(comparison: Comparison) -> Drawing | None:
    """val/acc1 of each epoch: the mean of an arm, and the range of its runs."""
    arms = []
    for index, row in enumerate(comparison.arms):
        curves = [progress_of(RunFolder(run.folder)).accuracies for run in _counted(comparison, row.arm)]
        curves = [curve for curve in curves if curve]
        if curves:
            epochs = sorted(set.intersection(*(set(curve) for curve in curves)))
            arms.append((index, row.arm, epochs, [[100 * curve[epoch] for curve in curves] for epoch in epochs]))
    arms = [arm for arm in arms if len(arm[2]) > 1]
    if not arms:
        return None
    figure = Figure(figsize=(_WIDTH, 3.8), layout="constrained")
    axes = figure.subplots()
    for index, name, epochs, found in arms:
        axes.fill_between(
            epochs, [min(v) for v in found], [max(v) for v in found], color=colour(index), alpha=0.12, lw=0
        )
        means = [sum(v) / len(v) for v in found]
        every = max(len(epochs) // 8, 1)
        axes.plot(epochs, means, marker=marker(index), markevery=every, ms=4, lw=1.4, color=colour(index), label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel("val/acc1 in points")
    axes.legend(fontsize=8, ncols=2)
    return Drawing(
        "curves",
        "Learning curves",
        f"val/acc1 by epoch: the mean of each arm and the range of its runs, of {', '.join(arm[1] for arm in arms)}.",
        figure,
    )


def _name_points(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write the arms beside their points; those of about the same cost below each other."""
    low, high = axes.get_ylim()
    widest = max(abs(x) for x, _, _ in points) or 1.0
    lowest: dict[float, float] = {}
    for x, y, name in sorted(points, key=lambda point: (point[0], -point[1])):
        place = (y - low) / (high - low) * _HEIGHT
        column = next((other for other in lowest if abs(other - x) < _SAME_COLUMN * widest), x)
        height = min(place, lowest.get(column, place + _LINE) - _LINE)
        lowest[column] = height
        axes.annotate(name, (x, y), xytext=(9, height - place), textcoords="offset points", fontsize=8, va="center")


def _values(comparison: Comparison, arm: str) -> list[float]:
    design = comparison.question.design
    found = [run.value(design.metric, design.checkpoint).value for run in _counted(comparison, arm)]
    return [value for value in found if value is not None]


def _counted(comparison: Comparison, arm: str) -> list[Measured]:
    return [run for run in comparison.runs if run.arm == arm and not comparison.why_not_counted(run)]


def _number(label: str) -> float | None:
    try:
        return float(label.partition("=")[2])
    except ValueError:
        return None
