"""A sweep's file stands for the arms that it says, with what each of them runs."""

from pathlib import Path

import pytest

from scconv_lab.errors import UserError
from scconv_lab.sweeps.file import read_sweep
from scconv_lab.sweeps.grid import Arm, expand, select

HEAD = "name: x\nexperiment: baseline.yaml\nseeds: [0, 1]\n"


def arms_of(folder: Path, text: str, **given) -> dict[str, Arm]:
    """The arms of a file of that text, by name."""
    file = folder / "x.yaml"
    file.write_text(HEAD + text)
    return {arm.name: arm for arm in expand(read_sweep(file), **given)}


def test_a_list_stands_for_one_arm_a_value(tmp_path: Path) -> None:
    arms = arms_of(tmp_path, "grid: {surgery.unit.alpha: [0.25, 0.5]}")
    assert list(arms) == ["alpha=0.25", "alpha=0.5"]
    for alpha in ("0.25", "0.5"):
        arguments = arms[f"alpha={alpha}"].arguments
        assert arguments[:4] == ("--config", str(tmp_path / "baseline.yaml"), "--surgery.unit.alpha", alpha)


GRID = """\
grid:
  unit: {S: {config: unit/sru.yaml}, S+C: {config: unit/scconv.yaml}}
  surgery.unit.alpha: [0.25, 0.5]
  surgery.sites: [paper, "layer[34].*", "layer1.0, layer1.1"]
include: {plain: {}}
"""


def chosen(folder: Path, *conditions: str) -> list[str]:
    """Names of the arms that are selected, with seed 0 or whatever the conditions leave."""
    arms = arms_of(folder, GRID).values()
    return list(
        dict.fromkeys(arm.name for arm, _ in select([(arm, seed) for arm in arms for seed in (0, 1)], conditions))
    )


@pytest.mark.parametrize(
    ("condition", "count", "part"),
    [
        ("arm=S alpha=0.25 sites=paper", 1, "S "),
        ("arm=S *", 6, "S "),
        ("arm=plain", 1, "plain"),
        ("unit=S", 6, "S "),
        ("unit=S,S+C", 12, "S"),
        ("unit=S, S+C", 12, "S"),
        ("surgery.unit.alpha=0.25", 6, "alpha=0.25"),
        ("alpha=0.25", 6, "alpha=0.25"),
        ("alpha=alpha=0.25", 6, "alpha=0.25"),
        ("alpha=0.?5", 6, "alpha=0.25"),
        ("alpha=*", 12, "alpha="),
        ("sites=layer[34].*", 4, "sites=layer[34].*"),
        ("sites=layer1.0, layer1.1", 4, "sites=layer1.0, layer1.1"),
    ],
)
def test_only_selects_by_name_or_axis(tmp_path: Path, condition: str, count: int, part: str) -> None:
    names = chosen(tmp_path, condition)
    assert len(names) == count
    assert all(part in name for name in names)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("alhpa=0.25", "--only alhpa=0.25 must be KEY=PATTERN; did you mean 'alpha'?"),
        ("plain", "--only plain must be KEY=PATTERN"),
        ("alpha=", "--only alpha= matches no run; the arms are S alpha=0.25 sites=paper, "),
        ("alpha=0.75", "--only alpha=0.75 matches no run; the arms are S alpha=0.25 sites=paper, "),
        ("seed=2", "--only seed=2 matches no run"),
    ],
)
def test_a_condition_that_selects_nothing_is_refused(tmp_path: Path, condition: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        chosen(tmp_path, condition)
    assert str(refused.value).startswith(message)


def test_conditions_hold_together(tmp_path: Path) -> None:
    assert chosen(tmp_path, "alpha=0.5", "unit=S", "sites=p*") == ["S alpha=0.5 sites=paper"]
    arms = [(arm, seed) for arm in arms_of(tmp_path, GRID).values() for seed in (0, 1)]
    assert {seed for _, seed in select(arms, ["seed=1"])} == {1}
    assert select(arms, []) == arms
