"""`python -m scconv_lab` is the command, the processes that it starts included."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scconv_lab.sweeps.script import own_command
from tests.runs import BIN, REPOSITORY, command_environment, new_workspace

MODULE = [sys.executable, "-m", "scconv_lab"]


def run(here: Path, *arguments: str, timeout: float = 240) -> "subprocess.CompletedProcess[str]":
    environment = command_environment(here) | {"PYTHONPATH": f"{here}{os.pathsep}{REPOSITORY}"}
    return subprocess.run(
        [*MODULE, *arguments], cwd=here, env=environment, capture_output=True, text=True, timeout=timeout
    )


def test_it_answers_as_the_command_does(tmp_path: Path) -> None:
    version = run(tmp_path, "--version")
    assert (version.returncode, version.stdout) == (0, "scconv-lab 0.1.0\n")
    mistake = run(tmp_path, "fti")
    assert mistake.returncode == 2
    assert mistake.stderr == "scconv-lab: error: there is no command 'fti'; did you mean 'fit'?\n"


@pytest.mark.parametrize(
    ("spec", "script_there", "expected"),
    [
        (None, True, "script"),
        (SimpleNamespace(name="pytest.__main__"), True, "script"),
        (SimpleNamespace(name="scconv_lab.__main__"), True, "module"),
        (None, False, "module"),
    ],
)
def test_processes_are_started_as_this_one_was(
    spec: Any, script_there: bool, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never by another environment's script, that PATH may have first."""
    (tmp_path / "elsewhere").mkdir()
    for folder in ("elsewhere", *(["."] if script_there else [])):
        script = tmp_path / folder / "scconv-lab"
        script.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__spec__=spec))
    module = [str(tmp_path / "python"), "-m", "scconv_lab"]
    assert own_command() == ([str(tmp_path / "scconv-lab")] if expected == "script" else module)


def test_in_the_tests_it_is_the_script() -> None:
    assert own_command() == [str(BIN / "scconv-lab")]


@pytest.mark.slow
def test_a_sweep_and_its_second_processes_are_started_by_the_module(tmp_path: Path) -> None:
    """An arm of one process, and one of two, whose second is started by Lightning."""
    here = new_workspace(tmp_path / "workspace")
    (here / "own.yaml").write_text(
        "name: own\nexperiment: experiments/baseline.yaml\nseeds: [0]\n"
        "grid: {arm: {one: {}, two: {config: configs/hardware/ddp_cpu.yaml, trainer.devices: 2, optimizer.lr: 0.05}}}\n"
    )
    note = f"with open({str(here / 'started.txt')!r}, 'a') as file:\n    print(*sys.orig_argv[1:4], file=file)\n"
    (here / "sitecustomize.py").write_text(f"import sys\n{note}")
    finished = run(here, "sweep", "own.yaml", "--config", "configs/scale/quick.yaml", "--set", "trainer.max_epochs=1")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert len(list(here.glob("runs/sweeps/*/results.json"))) == 2
    started = (here / "started.txt").read_text()
    assert "-m scconv_lab sweep\n" in started
    assert "-m scconv_lab.__main__ fit\n" in started
    assert "bin/scconv-lab" not in started
