"""A comparison for other programs: CSV, JSON, LaTeX, Markdown, and a model card's index."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from scconv_lab.errors import UserError
from scconv_lab.results.compare import Comparison
from scconv_lab.results.rows import Row, arm_rows, contrast_rows, run_rows
from scconv_lab.results.show import heading

ROWS = ("runs", "arms", "contrasts")
_LATEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}"}
_LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
_DIGITS = 2


def as_text(comparison: Comparison, file_format: str, rows: str | None) -> str:
    """Write a comparison in a format of `FORMATS`.

    Args:
        comparison: What to write.
        file_format: A key of `FORMATS`.
        rows: One of `ROWS`: only those. None is all, of csv the runs, and of model-index always the arms.
    """
    return FORMATS[file_format](comparison, rows)


def _tables(comparison: Comparison, rows: str | None) -> dict[str, list[Row]]:
    every = {"runs": run_rows, "arms": arm_rows, "contrasts": contrast_rows}
    return {name: make(comparison) for name, make in every.items() if rows in (None, name)}


def _csv(comparison: Comparison, rows: str | None) -> str:
    (table,) = _tables(comparison, rows or "runs").values()
    if not table:
        raise UserError(f"--rows {rows}: {comparison.question.name} has none, so there is nothing to write")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def _json(comparison: Comparison, rows: str | None) -> str:
    design = comparison.question.design
    document = {
        "name": comparison.question.name,
        "metric": design.metric.name,
        "unit": design.metric.unit,
        "better": design.metric.better,
        "checkpoint": design.checkpoint,
        "margin": design.margin,
        "design": "paired" if design.paired else "independent",
        "scope": design.scope,
        "looks": list(design.looks),
        "published": comparison.question.source or None,
        **_tables(comparison, rows),
        "cells": {question: {"better_in": shown, "of": cells} for question, (shown, cells) in comparison.cells.items()},
    }
    return f"{json.dumps(document, indent=1)}\n"


def _markdown(comparison: Comparison, rows: str | None) -> str:
    parts = [f"{heading(comparison).removeprefix('results  ')}\n"]
    for name, table in _tables(comparison, rows or None).items():
        if table and (rows or name != "runs"):
            head, body = _cells(table)
            lines = [head, ["---" if name in _TEXTS else "---:" for name in head], *body]
            parts.append("".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines))
    return "\n".join(parts)


def _latex(comparison: Comparison, rows: str | None) -> str:
    """Tables for the package booktabs."""
    parts = [f"% {heading(comparison).removeprefix('results  ')}\n"]
    for name, table in _tables(comparison, rows or None).items():
        if table and (rows or name != "runs"):
            head, body = _cells(table)
            kinds = "".join("l" if name in _TEXTS else "r" for name in head)
            lines = [" & ".join(map(_escaped, line)) + r" \\" for line in (head, *body)]
            begin, end = rf"\begin{{tabular}}{{{kinds}}}", r"\end{tabular}"
            text = [begin, r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", end]
            parts.append("\n".join(text) + "\n")
    return "\n".join(parts)


def _model_index(comparison: Comparison, rows: str | None) -> str:
    """The ``model-index`` of a Hugging Face model card: the mean of each arm; it has no field for a verdict."""
    design = comparison.question.design
    data = next((run.results["data"] for run in comparison.runs if run.results.get("data")), "unknown")
    models = [
        {
            "name": row.arm,
            "results": [
                {
                    "task": {"type": "image-classification"},
                    "dataset": {"name": data, "type": data.lower(), "split": "test"},
                    "metrics": [
                        {
                            "type": _TYPES.get(design.metric.name, design.metric.name.removeprefix("test/")),
                            "name": f"{design.metric.name}, mean of {row.n} seeds",
                            "value": round(row.mean, 4),
                        }
                    ],
                }
            ],
        }
        for row in comparison.arms
        if row.mean is not None
    ]
    return yaml.safe_dump({"model-index": models}, sort_keys=False)


_TYPES = {"test/acc1": "accuracy", "test/acc5": "top_5_accuracy"}
_TEXTS = ("arm", "reference", "cell", "run", "state", "verdict", "why", "seeds_needed")


def _cells(table: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """The head and the rows in words; columns without any value are left out."""
    head = [name for name in table[0] if any(row[name] not in (None, "") for row in table)]
    return head, [[_cell(name, row[name]) for name in head] for row in table]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}" if name == "confidence" or "/" in name else f"{value:.{_DIGITS}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


FORMATS: dict[str, Callable[[Comparison, str | None], str]] = {
    "csv": _csv,
    "json": _json,
    "latex": _latex,
    "markdown": _markdown,
    "model-index": _model_index,
}
