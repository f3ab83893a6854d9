"""Writes a report: index.html, which needs nothing beside it, figures and tables as files."""

import shutil
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from scconv_lab.errors import UserError
from scconv_lab.results.compare import Comparison
from scconv_lab.results.formats import as_text
from scconv_lab.results.measured import MADE_BY
from scconv_lab.results.report.figures import drawings
from scconv_lab.results.report.style import files, inline, styled
from scconv_lab.results.rows import Row, arm_rows, contrast_rows, run_rows, sentence
from scconv_lab.results.show import heading, left_out
from scconv_lab.run_folder.files import write_whole

_TEXTS = ("arm", "reference", "cell", "run", "state", "verdict", "why", "seeds_needed", "counts")
_PARTS = ("figures", "tables")


def write_report(comparison: Comparison, folder: Path) -> Path:
    """Write the report of a comparison.

    Args:
        comparison: What is reported.
        folder: Receives index.html, figures/ and tables/; made if it is not there. Earlier ones are replaced.

    Returns:
        The page.

    Raises:
        UserError: The folder holds something else.
    """
    page = folder / "index.html"
    if folder.exists() and not page.is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--report {folder} holds something else than a report; name a new or an empty folder")
    for part in _PARTS:
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir(parents=True)
    shown = []
    with styled():
        for drawing in drawings(comparison):
            content = files(drawing.figure, drawing.name)
            for kind, data in content.items():
                write_whole(folder / "figures" / f"{drawing.name}.{kind}", data)
            svg = inline(content["svg"], drawing.text)
            shown.append({"name": drawing.name, "title": drawing.title, "text": drawing.text, "svg": svg})
    tables = _tables(comparison)
    for table in tables:
        write_whole(folder / "tables" / f"{table['file']}.csv", as_text(comparison, "csv", table["file"]))
        if table["latex"]:
            write_whole(folder / "tables" / f"{table['file']}.tex", as_text(comparison, "latex", table["file"]))
    unit = comparison.question.design.metric.unit
    text = package_files("scconv_lab.results.report").joinpath("page.html").read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(text)
    cells = [
        f"{question}: better in at least {shown_in} of {of} cells."
        for question, (shown_in, of) in comparison.cells.items()
    ]
    html = template.render(
        name=comparison.question.name,
        heading=heading(comparison).partition("  ")[2],
        sentences=[
            (judged.verdict.startswith(("better", "worse", "equivalent")), sentence(judged, unit))
            for judged in comparison.contrasts
        ],
        cells=cells,
        drawings=shown,
        arms=[row.arm for row in comparison.arms],
        tables=tables,
        left_out=left_out(comparison),
        method=_method(comparison),
        provenance=_provenance(comparison),
    )
    write_whole(page, html)
    return page


def _tables(comparison: Comparison) -> list[dict[str, Any]]:
    unit = comparison.question.design.metric.unit
    parts = [
        ("contrasts", "Contrasts", contrast_rows(comparison), f"Differences in {unit}."),
        ("arms", "Arms", arm_rows(comparison), f"Means in {unit}, with the 95 % interval of the mean."),
        ("runs", "Runs", run_rows(comparison), "The figures of results.json; accuracies there are fractions."),
    ]
    return [_table(file, title, rows, caption) for file, title, rows, caption in parts if rows]


def _table(file: str, title: str, rows: Sequence[Row], caption: str) -> dict[str, Any]:
    names = [name for name in rows[0] if any(row[name] not in (None, "") for row in rows)]
    return {
        "file": file,
        "title": title,
        "caption": caption,
        "latex": file != "runs",
        "columns": [{"name": name.replace("_", " "), "text": name in _TEXTS} for name in names],
        "rows": [{"arm": row["arm"], "cells": [_cell(name, row[name]) for name in names]} for row in rows],
    }


def _cell(name: str, value: Any) -> dict[str, Any]:
    shown, key = "" if value is None else str(value), None
    if isinstance(value, bool):
        shown = "yes" if value else "no"
    elif isinstance(value, float):
        shown, key = f"{value:.4f}" if "/" in name or name == "confidence" else f"{value:.2f}", repr(value)
    elif isinstance(value, int):
        shown, key = f"{value:,}", str(value)
    return {"shown": shown, "key": key, "kind": "long" if name == "why" else "text" if name in _TEXTS else ""}


def _method(comparison: Comparison) -> list[str]:
    design, count = comparison.question.design, len(comparison.contrasts)
    if not count:
        return ["Means over seeds with the 95 % interval of Student's t."]
    how = (
        "Runs of one seed are paired, and the interval is Student's t of their differences."
        if design.paired
        else "Arms are independent samples: Welch's standard error, with Cochran and Cox's quantile."
    )
    looks = " and ".join(map(str, design.looks))
    scope = (
        "The claim is about new seeds of this recipe on this test set."
        if design.scope == "seeds"
        else "The claim is about new seeds and new images: a two-way random-effects analysis of each image's result."
    )
    margin = f"the margin of {design.margin:g} {design.metric.unit}" if design.margin is not None else "no margin"
    return [
        how,
        f"The error of 5 % is shared over {count} contrasts (Bonferroni)"
        + (f" and over looks after {looks} seeds (O'Brien and Fleming's spending)." if len(design.looks) > 1 else "."),
        "Better or worse: zero lies outside the interval of the contrast's level. Equivalent: the interval of twice "
        f"the level lies within {margin}. The thin line of the figure is the first, the thick one the second.",
        scope,
        f"Judged are the weights of {design.checkpoint}.ckpt; every other metric, and what the command line changed, "
        "is exploratory.",
        "Superiority is Mann and Whitney's estimate of P(arm > reference), ties a half. Seeds needed see the margin, "
        "by the 95 % interval of the pooled standard deviation.",
    ]


def _provenance(comparison: Comparison) -> list[str]:
    done = [run for run in comparison.runs if run.state == "done"]
    names = {"code": "code of the lab", "lock_hash": "uv.lock"}
    found = []
    for key in MADE_BY:
        values = Counter(run.made_by[key] for run in done if key in run.made_by)
        if values:
            found.append(f"{names.get(key, key)}: {', '.join(f'{value} ({n} runs)' for value, n in values.items())}")
    commits = Counter(str(run.results["git_commit"]) for run in done if run.results.get("git_commit"))
    found += [f"commit: {', '.join(f'{value} ({n} runs)' for value, n in commits.items())}"] if commits else []
    seconds = sum(run.results.get("seconds", 0.0) for run in done)
    found.append(f"{len(done)} finished runs, {seconds / 3600:.2f} hours of training")
    if comparison.question.file:
        found.append(f"design: {comparison.question.file}")
    return found
