"""The help of fit, validate, test and predict."""

import subprocess
import sys

import pytest

from scconv_lab.cli import main
from scconv_lab.fit.dry import FitParser
from scconv_lab.fit.entry import short_help

COMMANDS = ["fit", "validate", "test", "predict"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_one_screen_and_loads_no_torch(command: str) -> None:
    program = f"import sys; from scconv_lab.cli import main; code = main(['{command}', '--help'])"
    checked = f"{program}; sys.exit(code or 'torch' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", checked], capture_output=True, text=True)
    assert finished.returncode == 0
    assert finished.stdout.startswith(f"usage: scconv-lab {command} ")
    lines = short_help(command).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("width", [60, 80, 120])
def test_help_is_folded_to_the_terminal(width: int) -> None:
    assert all(len(line) <= width for line in short_help("fit", width=width).splitlines()[4:])


def test_every_key_of_the_help_is_there() -> None:
    known = {*FitParser(None).keys(), "config", "net", "data", "optimizer", "lr_scheduler", "surgery.unit"}
    known |= {"surgery.unit.ARG", "help-all", "KEY.help", "print_config", "ckpt_path", "trainer.logger.project"}
    said = [line.split()[0].removeprefix("--") for line in short_help("fit").splitlines() if line.startswith("  --")]
    assert len(said) > 20
    assert [key for key in said if key not in known] == []


def test_help_all_lists_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--help-all"]) == 0
    said = capsys.readouterr().out
    assert all(f"--{key}" in said for key in ("trainer.gradient_clip_val", "surgery.stride_policy", "on_nonfinite"))


def test_a_file_that_is_missing_is_said_before_torch_is_loaded() -> None:
    program = "import sys; from scconv_lab.cli import main; code = main(['fit', '--config', 'nowhere.yaml'])"
    checked = f"{program}; print(code, 'torch' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", checked], capture_output=True, text=True, check=True)
    assert finished.stdout == "2 False\n"
    assert "nowhere.yaml" in finished.stderr
