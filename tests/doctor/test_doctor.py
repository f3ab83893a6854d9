"""What the doctor finds: on a machine with and without GPUs, SLURM, room and a W&B server; and of a configuration."""

import json
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch

from scconv_lab.cli import main
from scconv_lab.doctor import command, machine, tracking
from tests.training.wandb_server import WandbServer

QUICK = ["--config", "experiments/ablation_sru.yaml", "--config", "configs/scale/quick.yaml"]
NAMES = ["python", "torch", "driver", "GPUs", "run folder", "temporary folder", "disk", "W&B", "SLURM"]


@pytest.fixture
def here(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the shipped files and nothing else."""
    for name in ("configs", "experiments"):
        (tmp_path / name).symlink_to(workspace / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a program on the path, by its name and the script that it is."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def make(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return make


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and the checks by name."""
    capsys.readouterr()
    code = main(["doctor", *arguments, "--format", "json"])
    printed = json.loads(capsys.readouterr().out)
    checks = {check["name"]: check for check in printed["checks"]}
    states = {check["state"] for check in checks.values()}
    assert states <= {"ok", "warn", "fail", "skip"}
    assert all(check["todo"] for check in checks.values() if check["state"] in ("warn", "fail"))
    assert printed["ok"] is ("fail" not in states) is (code == 0)
    return code, checks


@pytest.mark.usefixtures("here")
def test_without_a_configuration_the_machine_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = report(capsys)
    assert code == 0
    assert list(checks) == NAMES
    assert checks["torch"]["found"].startswith(torch.__version__)
    assert "no API key" in checks["W&B"]["found"]


def test_a_configuration_is_looked_at_and_nothing_is_left(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(here.iterdir())
    code, checks = report(capsys, *QUICK)
    assert code == 0
    assert checks["data Digits"]["found"] == "1,437 images to train and validate on, 360 to test"
    assert checks["net"]["found"] == "cifarresnet8-sru-digits-s0, 78,266 params"
    assert "take up to 3.8 MB" in checks["disk"]["found"]  # 4 files of 3 times 78,266 weights and the buffers
    assert set(here.iterdir()) == before


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "name", "state", "parts"),
    [
        (["--net.depth", "9"], "net", "fail", ["`depth` (=9)", "6n + 2"]),
        (["--optimizer.lr", "-1"], "net", "fail", ["`optimizer`", "-1"]),
        (["--data", "CIFAR10"], "data CIFAR10", "warn", ["a fit downloads https://", "network"]),
        (["--data", "CIFAR10", "--data.download", "false"], "data CIFAR10", "fail", ["set `download` to true"]),
        (["--data", "ImageFolder"], "data ImageFolder", "fail", ["data/imagenet/train", "set `root`"]),
        (["--data", "ImageFolder"], "net", "skip", ["comes from the data"]),
        (["--trainer.devices", "3"], "data Digits", "fail", ["`batch_size` (=64)", "choose 63"]),
        (["--trainer.accelerator", "gpu"], "GPUs", "fail", ["0 of the 1", "--trainer.accelerator cpu"]),
        (["--trainer.logger", "false"], "W&B", "skip", ["does not log"]),
        (["--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", "x"], "W&B", "skip", ["does not log"]),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, list) else value,
)
def test_what_a_run_would_stumble_over(
    arguments: list[str],
    name: str,
    state: str,
    parts: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check = report(capsys, *QUICK, *arguments)[1][name]
    assert check["state"] == state
    assert not [part for part in parts if part not in f"{check['found']} {check['todo']}"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "experiments/basline.yaml"], "did you mean 'experiments/baseline.yaml'"),
        (["--format", "jsn"], "doctor: argument --format: invalid choice: 'jsn' (choose from"),
        (["--format"], "doctor: argument --format: expected one argument"),
        ([*QUICK, "--trainer.max_epoch", "3"], "'trainer.max_epochs'"),
    ],
)
def test_a_mistake_in_the_arguments_is_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("scconv-lab: error: ")
    assert message in printed.err


@pytest.mark.usefixtures("here")
def test_lines_where_no_terminal_reads_them_and_a_table_where_one_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["doctor", *QUICK, "--net.depth", "9"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if " net " in line).split()[:2] == ["fail", "net"]
    assert lines[-1] == "fails: net"
    assert "\x1b" not in "".join(lines)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["doctor", *QUICK]) == 0
    table = capsys.readouterr().out
    assert all(word in table for word in ("check", "state", "what to do", "cifarresnet8-sru-digits-s0"))
    assert table.endswith("nothing fails\n")


def test_help_loads_no_torch(capsys: pytest.CaptureFixture[str]) -> None:
    program = (
        "import sys; from scconv_lab.cli import main; main(['doctor', '--help']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0
    assert main(["doctor", "--help"]) == 0
    assert "Exit code: 0 if nothing fails, 1 if a check fails" in capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_a_torch_that_does_not_load_is_all_there_is_to_say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    code, checks = report(capsys, *QUICK)
    assert code == 1
    assert list(checks) == ["python", "torch"]
    assert "uv sync --locked" in checks["torch"]["todo"]


SMI = "echo '580.65.06, 0, NVIDIA H100, 12, 81559'; echo '580.65.06, 1, NVIDIA H100, 40000, 81559'"


class TestGPUs:
    """By an nvidia-smi that is a script, and a torch that sees as many as it is told."""

    @pytest.fixture(autouse=True)
    def cuda(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen = 2
        monkeypatch.setattr(torch.cuda, "is_available", lambda: self.seen > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: self.seen)

    def test_a_busy_one_is_named(self, program: Any) -> None:
        program("nvidia-smi", SMI)
        driver, gpus = machine.gpus(None)
        assert (driver.state, driver.found) == ("ok", "NVIDIA 580.65.06")
        assert gpus.state == "warn"
        assert "1: NVIDIA H100, 40,000 of 81,559 MiB taken" in gpus.found

    def test_free_ones_are_ok(self, program: Any) -> None:
        program("nvidia-smi", SMI.replace("40000", "[N/A]"))
        assert [check.state for check in machine.gpus(2)] == ["ok", "ok"]

    def test_fewer_than_asked_for(self, program: Any) -> None:
        program("nvidia-smi", SMI)
        gpus = machine.gpus(4)[1]
        assert (gpus.state, gpus.found) == ("fail", "2 of the 4 that the configuration asks for")

    @pytest.mark.parametrize(("wanted", "state"), [(None, "warn"), (1, "fail")])
    def test_a_torch_that_sees_none(self, wanted: int | None, state: str, program: Any) -> None:
        program("nvidia-smi", SMI)
        self.seen = 0
        gpus = machine.gpus(wanted)[1]
        assert gpus.state == state
        assert "torch sees none" in gpus.found

    @pytest.mark.parametrize("script", ["echo 'NVIDIA-SMI has failed' >&2; exit 9", "exit 0", "exec sleep 600"])
    def test_a_driver_that_does_not_answer(self, script: str, program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "_PATIENCE_S", 0.5 if "sleep" in script else 60)
        program("nvidia-smi", script)
        self.seen = 0
        assert [check.state for check in machine.gpus(None)] == ["fail", "skip"]


@pytest.mark.parametrize(
    ("script", "state", "found"),
    [
        ("echo 'gpu* up 4'; echo 'cpu up 10'", "ok", "partitions gpu*, cpu"),
        ("echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1", "warn", "Unable to contact"),
        ("exec sleep 600", "warn", "nothing within"),
    ],
)
def test_slurm(script: str, state: str, found: str, program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_PATIENCE_S", 0.5 if "sleep" in script else 60)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with monkeypatch.context() as without:
        without.setenv("PATH", "")
        assert machine.slurm().state == "skip"
    program("sinfo", script)
    check = machine.slurm()
    assert check.state == state
    assert found in check.found


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "a" / "b"
    check = machine.writable("x", deep, needed=True, way_out="give another")
    assert (check.state, check.found) == ("ok", f"{deep} can be made in {tmp_path}")
    assert not deep.exists()
    (tmp_path / "file").touch()
    check = machine.writable("x", tmp_path / "file" / "b", needed=True, way_out="give another")
    assert (check.state, check.todo) == ("fail", "give another")
    assert not [path for path in tmp_path.iterdir() if path.name != "file"]


@pytest.mark.parametrize(
    ("free", "planned", "state"),
    [(5e9, None, "ok"), (5e8, None, "warn"), (5e9, 10**9, "ok"), (2e9, 10**9, "warn"), (5e8, 10**9, "fail")],
)
def test_disk(free: float, planned: int | None, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")(free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert machine.disk(tmp_path / "runs", planned).state == state


class TestServer:
    """W&B's, as a socket of this host."""

    @pytest.fixture(autouse=True)
    def key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        monkeypatch.setenv("no_proxy", "127.0.0.1")

    @pytest.mark.parametrize(("behaviour", "state"), [("answer", "ok"), ("silent", "warn"), ("fail", "warn")])
    def test_one_that_is_silent_is_not_waited_for(
        self, behaviour: Any, state: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It would stay silent until this test closes it."""
        monkeypatch.setattr(tracking, "_PATIENCE_S", 0.5 if behaviour == "silent" else 60)
        with WandbServer(behaviour) as server:
            monkeypatch.setattr("scconv_lab.training.wandb_client.server", lambda: server.url)
            check = tracking.wandb()
        assert check.state == state
        assert server.url in check.found

    def test_offline_asks_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.setattr(
            "scconv_lab.training.wandb_client.answers", lambda *_, **__: pytest.fail("the server was asked")
        )
        assert (tracking.wandb().state, tracking.wandb().found) == ("ok", "WANDB_MODE is offline")
        monkeypatch.delenv("WANDB_MODE")
        monkeypatch.delenv("WANDB_API_KEY")
        assert tracking.wandb().state == "warn"


def test_the_formats_are_those_of_the_help() -> None:
    assert all(f"  {name}  " in command._EPILOG for name in command._FORMATS)
