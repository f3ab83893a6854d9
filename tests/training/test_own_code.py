"""Classes of one's own, in files beside an experiment, in every command that reads it."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from scconv_lab.cli import main
from scconv_lab.training import own_code
from scconv_lab.training.own_code import make_importable, own_folders
from tests.runs import REPOSITORY, Run

UNIT = """\
from torch import nn


class {name}(nn.Module):
    def __init__(self, channels: int, factor: float = 2.0):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.factor = factor

    def forward(self, x):
        return self.factor * self.norm(x)
"""
QUICK = ["--config", str(REPOSITORY / "configs/scale/quick.yaml")]
SHORT = ["--trainer.max_epochs", "1", "--trainer.logger", "false", "--trainer.accelerator", "cpu"]

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def unchanged_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test makes importable is gone after it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(own_code, "_made_importable", [])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("mine"):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write an experiment and its module into a folder that is not the working one."""
    (tmp_path / "work").mkdir()
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def write(module: str, source: str, **keys: object) -> Path:
        (tmp_path / "mine" / f"{module}.py").write_text(source)
        file = tmp_path / "mine" / f"{module}.yaml"
        file.write_text(yaml.safe_dump({"bases": [str(REPOSITORY / "experiments/baseline.yaml")], **keys}))
        return file

    return write


def insert(class_path: object) -> dict[str, object]:
    return {"unit": class_path, "action": "insert_after"}


def test_any_module_that_takes_channels_is_a_unit(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    described = {"class_path": "mine_a.Twice", "init_args": {"factor": 0.5}}
    file = write("mine_a", UNIT.format(name="Twice"), surgery=insert(described))
    assert main(["cost", "--config", str(file), *QUICK]) == 0
    assert "Twice insert_after at 3 sites, +224 params" in capsys.readouterr().out


def test_a_run_of_it_repeats_from_its_own_config_elsewhere(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write("mine_b", UNIT.format(name="Twice"), surgery=insert("mine_b.Twice"))
    assert main(["fit", "--config", str(file), *QUICK, *SHORT]) == 0
    run = Run(capsys.readouterr().out, Path.cwd())
    assert yaml.safe_load((run.folder / "config.yaml").read_text())["own_code"] == [str(tmp_path / "mine")]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    checkpoint = str(run.folder / "checkpoints/best.ckpt")
    assert main(["test", "--config", str(run.folder / "config.yaml"), "--ckpt_path", checkpoint]) == 0
    assert f"test/acc1 {run.console('test/acc1')[0]:.4f}" in capsys.readouterr().out


def test_a_net_data_and_a_callback_of_ones_own(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    source = """\
from lightning.pytorch import Callback
from scconv_lab.data import Digits
from scconv_lab.models import CifarResNet


class Mine(CifarResNet):
    pass


class Numbers(Digits):
    pass


class Says(Callback):
    def on_train_start(self, trainer, module):
        print("mine starts")
"""
    file = write("mine_c", source)
    arguments = ["--net", "mine_c.Mine", "--net.depth", "8", "--data", "mine_c.Numbers"]
    arguments += ["--trainer.callbacks+=mine_c.Says"]
    assert main(["fit", "--config", str(file), *QUICK, *SHORT, *arguments]) == 0
    printed = capsys.readouterr().out
    assert "net      Mine, plain" in printed
    assert "mine starts\n" in printed


def test_doctor_looks_at_it(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    file = write("mine_d", UNIT.format(name="Twice"), surgery=insert("mine_d.Twice"))
    main(["doctor", "--config", str(file), *QUICK])
    assert re.search(r"ok +net +cifarresnet8-twice-digits-s0", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("surgery", insert("mine_e.Wrong"), ["'mine_e.Wrong'", "no Unit", "`def __init__(self, channels"]),
        ("surgery", insert("mine_e.pick"), ["'mine_e.pick'", "not a class"]),
        ("surgery", insert("mine_e.Twcie"), ["mine_e has no 'Twcie'", "did you mean 'Twice'"]),
        ("surgery", insert({"class_path": "mine_e.Twcie"}), ["mine_e.yaml", "did you mean 'Twice'"]),
        ("surgery", insert("yours.Twice"), ["yours is not installed, nor a file next to the experiment"]),
        ("surgery", insert("SRRU"), ["'SRRU'", "did you mean 'SRU'"]),
        ("net", {"class_path": "mine_e.Twice"}, ["mine_e.yaml", "derived from scconv_lab.models.Net"]),
        ("net", "mine_e.Twice", ["derived from scconv_lab.models.Net"]),
        ("data", {"class_path": "mine_e.Twice"}, ["derived from scconv_lab.data.ImageDataModule"]),
        ("optimizer", "mine_e.Twice", ["derived from torch.optim.Optimizer"]),
    ],
)
def test_what_does_not_belong_there_is_said_with_what_does(
    key: str, value: object, parts: list[str], write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    source = UNIT.format(name="Twice") + "\n\nclass Wrong(nn.Module):\n    def __init__(self, a, b):\n        pass\n"
    file = write("mine_e", f"{source}\n\ndef pick(channels):\n    return nn.Identity()\n", **{key: value})
    assert main(["cost", "--config", str(file), *QUICK]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not [part for part in parts if part not in error], error


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("import x\ndef broken(:\n", ["mine_f.py, line 2: SyntaxError: invalid syntax"]),
        ("import nowhere_at_all\n", ["mine_f cannot be imported", "nowhere_at_all"]),
        ("\n1 / 0\n", ["mine_f.py, line 2: ZeroDivisionError"]),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(
    source: str, parts: list[str], write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write("mine_f", source, surgery=insert("mine_f.X"))
    assert main(["cost", "--config", str(file), *QUICK]) == 2
    error = capsys.readouterr().err
    assert not [part for part in parts if part not in error], error


class TestFolders:
    """Which folders Python is given."""

    def test_a_package_and_the_working_folder_are_found(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "a/mine_g").mkdir(parents=True)
        (tmp_path / "a/mine_g/units.py").write_text("")
        (tmp_path / "mine_h.py").write_text("")
        (tmp_path / "a/x.yaml").write_text("surgery: {unit: mine_g.units.Mine}\n")
        arguments = ["--config", "a/x.yaml", "--net=mine_h.Net"]
        assert own_folders([Path("a/x.yaml")], arguments) == [tmp_path / "a", tmp_path]

    def test_what_is_installed_or_no_class_is_no_reason(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("torch", "data", "trainer"):
            (tmp_path / f"{name}.py").write_text("raise SystemError\n")
        (tmp_path / "x.yaml").write_text("net: {class_path: torch.nn.Identity}\ndata: digits\ntrainer: {devices: 1}\n")
        assert own_folders([Path("x.yaml")], ["--trainer.max_epochs", "3"]) == []

    def test_they_come_after_all_that_is_installed(self, tmp_path: Path) -> None:
        make_importable([tmp_path])
        assert sys.path[-1] == str(tmp_path)

    def test_two_modules_of_one_name_are_refused(self, tmp_path: Path) -> None:
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "mine_i.py").write_text("")
        make_importable([tmp_path / "a"])
        import mine_i  # noqa: F401  # pyrefly: ignore[missing-import]

        with pytest.raises(ValueError, match="are modules of one name; rename one"):
            make_importable([tmp_path / "b"])
