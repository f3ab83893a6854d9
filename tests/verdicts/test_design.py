"""Which contrasts a design has, and the error that each may spend."""

import pytest

from scconv_lab.errors import UserError
from scconv_lab.verdicts.design import Contrast, Design, axis_named

TABLE = {name: {"arm": name} for name in ("plain", "S", "C+S", "S+C")}
GRID = {
    f"{unit} fusion={fusion}": {"unit": unit, "surgery.unit.fusion": f"fusion={fusion}"}
    for unit in ("C", "S+C")
    for fusion in ("pairwise", "joint")
}


def test_each_label_of_an_axis_is_compared_with_the_reference() -> None:
    found = Design(against={"arm": "plain"}).contrasts(TABLE)
    assert [(c.arm, c.reference, c.cell) for c in found] == [(arm, "plain", "") for arm in ("S", "C+S", "S+C")]


def test_within_each_cell_of_the_other_axes() -> None:
    found = Design(against={"surgery.unit.fusion": "pairwise"}).contrasts(GRID)
    question = "fusion=joint against fusion=pairwise"
    assert found == [
        Contrast("C fusion=joint", "C fusion=pairwise", cell="C", question=question),
        Contrast("S+C fusion=joint", "S+C fusion=pairwise", cell="S+C", question=question),
    ]


def test_a_cell_without_its_reference_has_no_contrast() -> None:
    arms = {name: labels for name, labels in GRID.items() if name != "C fusion=pairwise"}
    found = Design(against={"surgery.unit.fusion": "fusion=pairwise"}).contrasts(arms)
    assert [str(contrast) for contrast in found] == ["S+C fusion=joint against S+C fusion=pairwise"]


def test_pairs_come_after_axes() -> None:
    found = Design(against={"arm": "plain"}, pairs=(("S+C", "C+S"),)).contrasts(TABLE)
    assert [str(contrast) for contrast in found][-1] == "S+C against C+S"
    assert len(found) == 4


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (Design(against={"arm": "plian"}), "'plian', which is no arm; did you mean 'plain'"),
        (Design(pairs=(("S+C", "C-S"),)), "'C-S', which is no arm; did you mean 'C[+]S'"),
    ],
)
def test_what_is_not_there_is_named(design: Design, message: str) -> None:
    with pytest.raises(UserError, match=message):
        design.contrasts(TABLE)


def test_an_axis_may_be_named_by_its_last_word() -> None:
    assert axis_named("fusion", GRID) == axis_named("surgery.unit.fusion", GRID) == "surgery.unit.fusion"
    with pytest.raises(UserError, match="'fusoin', which is not there; choose one of"):
        axis_named("fusoin", GRID)


def test_the_error_is_shared_over_contrasts_and_looks() -> None:
    assert Design(looks=(10,)).level(5, 0) == pytest.approx(0.01)
    two = Design(looks=(5, 10))
    assert two.level(5, 0) + two.level(5, 1) == pytest.approx(0.01)
