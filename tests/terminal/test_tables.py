"""Tables on narrow and wide terminals, and where no terminal reads them."""

import io
import sys

import pytest
from rich.console import Console

from scconv_lab.terminal.tables import fit, new_table, print_table, terminal_width

COLUMNS = ("arm", "run", "params")
ROWS = [
    ("a-rather-long-name-as-people-give-to-their-arms-to-know-them-again", "4002de71b80d", "78,042"),
    ("S+C", "ccdb8ad2484b", "1,563,904"),
]


def shown(width: int) -> list[str]:
    """The lines of a terminal that is so wide."""
    table = new_table(COLUMNS, texts=("arm", "run"), fold=("arm",))
    for row in ROWS:
        table.add_row(*row)
    console = Console(file=io.StringIO(), width=fit(table, width), force_terminal=False)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 36, 40, 60, 80, 120])
def test_numbers_and_ids_are_never_cut(width: int) -> None:
    text = "\n".join(shown(width))
    assert all(cell in text for _, *cells in ROWS for cell in cells)
    assert "…" not in text


@pytest.mark.parametrize("width", [36, 40, 60, 80, 120])
def test_names_are_folded_to_the_width_and_lose_nothing(width: int) -> None:
    lines = shown(width)
    assert max(map(len, lines)) <= width
    assert ROWS[0][0] in "".join(line.split(" ")[0] for line in lines[2:])


def test_a_table_is_no_wider_than_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("arm", "n"), [("S", "3")], texts=("arm",), fold=("arm",))
    assert capsys.readouterr().out.splitlines() == ["arm  n", "──────", "S    3"]


def test_where_no_terminal_reads_nothing_is_folded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table(COLUMNS, ROWS, texts=("arm", "run"), fold=("arm",))
    assert all(" ".join(row) in " ".join(capsys.readouterr().out.split()) for row in ROWS[:1])


def test_a_text_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("arm",), [("[bold]x[/bold]",)], texts=("arm",))
    assert "[bold]x[/bold]" in capsys.readouterr().out


def test_the_width_of_what_is_no_terminal_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert terminal_width(120) == 120


def test_an_optional_column_is_left_out_where_a_terminal_is_too_narrow_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for width, columns in ((120, COLUMNS), (30, ("arm", "params"))):
        monkeypatch.setattr("scconv_lab.terminal.tables.terminal_width", lambda default, width=width: width)
        print_table(COLUMNS, ROWS, texts=("arm", "run"), fold=("arm",), optional=("run",))
        head, *_, last = capsys.readouterr().out.splitlines()
        assert tuple(head.split()) == columns
        assert (last == "a wider terminal shows run too") == (width == 30)
