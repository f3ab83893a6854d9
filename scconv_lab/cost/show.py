"""What all tables of `scconv-lab cost` have in common: progress, and how they are written."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import rich.progress
from rich.console import Console

from scconv_lab.terminal import tables


@contextmanager
def progress(steps: int) -> Iterator[Callable[[str], None]]:
    """Tell on stderr what is under way: a bar on a terminal, a line a step elsewhere; stdout is for the result.

    Yields:
        What to call with the name of each step before it.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda name: print(f"{name} ...", file=sys.stderr, flush=True)
        return
    columns = (
        rich.progress.MofNCompleteColumn(),
        rich.progress.BarColumn(),
        rich.progress.TextColumn("{task.description}"),
    )
    # drawn only between steps: a thread that redraws would disturb what is measured
    with rich.progress.Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=steps)
        started = False

        def step(name: str) -> None:
            nonlocal started
            bar.update(task, description=name, advance=int(started), refresh=True)
            started = True

        yield step


def print_table(*columns: str, rows: Iterable[Sequence[str]]) -> None:
    """Print a table whose first column is text and whose others are numbers."""
    tables.print_table(columns, rows, texts=columns[:1], fold=columns[:1])


def short(count: float) -> str:
    """A count with four digits and k, M or G for thousands, millions and billions: 815,669,248 is 815.7M."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= limit:
            return f"{count / limit:.4g}{suffix}"
    return f"{count:g}"


def print_json(value: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(value, indent=2))


def print_csv(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows that share their keys, under a line of those."""
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
