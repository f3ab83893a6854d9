"""Rows kept for a later process: which of them it gets, and what damage to the file costs."""

from pathlib import Path

import pytest

from scconv_lab.run_folder.history import History

ROWS = [({"val/acc1": 0.5}, 9), ({"train/loss": 1.5, "epoch": 1}, 19), ({"test/acc1": 0.75}, None)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "history.jsonl"
    history = History(path)
    history.restart("ab12cd34", None)
    for row in ROWS:
        history.add(*row)
    return path


def test_a_later_process_gets_the_rows_before_its_step(path: Path) -> None:
    assert History(path).id == "ab12cd34"
    assert History(path).restart("ab12cd34", 19) == [ROWS[0], ROWS[2]]
    assert History(path).restart("ab12cd34", None) == []


def test_what_is_no_number_or_text_is_left_out(path: Path) -> None:
    History(path).add({"a": 1.0, "table": object()}, 29)
    assert History(path).restart("ab12cd34", 30)[-1] == ({"a": 1.0}, 29)


@pytest.mark.parametrize(
    "line",
    ["{'step': 9}", '{"step": 9', "[]", "3", '{"step": "9", "metrics": {}}', '{"step": 9, "metrics": []}', "\xff"],
)
def test_a_damaged_line_costs_itself(path: Path, line: str) -> None:
    lines = path.read_text().splitlines()
    path.write_bytes("\n".join([lines[0], line, *lines[1:], line]).encode("latin-1"))
    assert History(path).id == "ab12cd34"
    assert History(path).restart("ab12cd34", 100) == ROWS


def test_without_its_first_line_it_has_no_id(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    assert History(path).id is None
    assert History(path).restart("new", 100) == ROWS
