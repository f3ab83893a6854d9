"""A sweep's file stands for the arms that it says, with what each of them runs."""

from pathlib import Path

from scconv_lab.sweeps.file import read_sweep
from scconv_lab.sweeps.grid import Arm, expand

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
