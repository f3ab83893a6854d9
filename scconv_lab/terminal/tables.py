"""Tables that never lose a digit: text is folded where the terminal is narrow, numbers and ids are not."""

import sys
from collections.abc import Collection, Iterable, Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_LEAST = 8  # columns that a folded text keeps
_ENDLESS = 10_000


def new_table(columns: Sequence[str], *, texts: Collection[str], fold: Collection[str]) -> Table:
    """Make a table without rows.

    Args:
        columns: Names of the columns.
        texts: Those that hold text, to the left; the others hold numbers, to the right.
        fold: Those of the texts that may take several lines where the table is wider than the terminal.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(name, justify="left" if name in texts else "right", no_wrap=name not in fold, overflow="fold")
    return table


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    texts: Collection[str] = (),
    fold: Collection[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Print a table as wide as its content, on a terminal folded to the width of that; see `new_table`.

    Args:
        columns: As of `new_table`.
        rows: Their cells.
        texts: As of `new_table`.
        fold: As of `new_table`.
        optional: Columns that are left out, the first first, where a terminal is too narrow for all; a line says so.
    """
    every, width = [list(row) for row in rows], terminal_width(_ENDLESS)
    shown, dropped = list(columns), list(optional)
    table = _filled(shown, columns, every, texts, fold)
    while dropped and fit(table, width) > width:
        shown.remove(dropped.pop(0))
        table = _filled(shown, columns, every, texts, fold)
    print_fitted(table)
    if gone := [name for name in columns if name not in shown]:
        print(f"a wider terminal shows {', '.join(gone)} too")


def _filled(
    shown: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    texts: Collection[str],
    fold: Collection[str],
) -> Table:
    table = new_table(shown, texts=texts, fold=fold)
    for row in rows:
        cells = [cell for name, cell in zip(columns, row, strict=True) if name in shown]
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))
    return table


def print_fitted(table: Table) -> None:
    """Print a table made by `new_table`: whole where the output is no terminal, else folded to the terminal's width."""
    console = Console(highlight=False)
    width = fit(table, console.width if console.is_terminal else _ENDLESS)
    Console(highlight=False, width=max(width, 1)).print(table, soft_wrap=False, crop=False)


def fit(table: Table, width: int) -> int:
    """Fold the texts of a table until it is at most ``width`` columns wide, or they have 8 columns each.

    Returns:
        How wide the table is now.
    """
    endless = Console(width=_ENDLESS)
    folding = [column for column in table.columns if not column.no_wrap]
    limit = max((endless.measure(cell).maximum for column in folding for cell in column.cells), default=_LEAST)
    while True:
        for column in folding:
            column.max_width = max(limit, _LEAST)
        needed = Measurement.get(endless, endless.options, table).maximum
        if needed <= width or limit <= _LEAST or not folding:
            return needed
        limit -= 1


def terminal_width(default: int) -> int:
    """Columns of the terminal that standard output is; ``default`` where it is none."""
    return Console().width if sys.stdout.isatty() else default
