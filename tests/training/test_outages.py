"""W&B in trouble: the training is the one without W&B, start and end wait little, and the record is uploaded later."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from scconv_lab.training import tracking
from tests.full import others_in_full
from tests.runs import BIN, Run, command_environment
from tests.training.wandb_server import WandbServer

START_S, END_S = 30, 60  # what an outage may cost
NO_START = {"ANSWER_TIMEOUT": 3.0, "INIT_TIMEOUT": 4.0, "FINISH_TIMEOUT": 4.0}
NO_END = {"FINISH_TIMEOUT": 4.0}  # the server has all the time it needs while it is well
HANG_S = 400
"""Seconds after which a fit is killed: W&B's own client would wait for a server for longer."""
EPOCHS = 3
FIT = ["fit", "--config", "experiments/ablation_sru.yaml", "--config", "configs/scale/quick.yaml"]
FIT += [f"--trainer.max_epochs={EPOCHS}"]

pytestmark = pytest.mark.slow
WHEN = ("mid", "end")
BROKEN = ("silent", "fail", "drop")


class Finished:
    """A fit that ended, within `HANG_S`.

    Args:
        workspace: Where it runs.
        arguments: Further arguments.
        environment: Further variables.
        timeouts: Replaced values of `scconv_lab.training.tracking`.
        on_line: Called with each line that it prints, and with the process.
        before: Python to run in it first.
    """

    def __init__(
        self,
        workspace: Path,
        *arguments: str,
        environment: dict[str, str] | None = None,
        timeouts: dict[str, float] | None = None,
        on_line: Callable[[str, Any], None] = lambda *_: None,
        before: str = "",
    ):
        assignments = "".join(f"tracking.{name} = {value}; " for name, value in (timeouts or {}).items())
        program = "import sys; from scconv_lab.cli import main; from scconv_lab.training import tracking; "
        program += f"{before}\n{assignments}sys.exit(main(sys.argv[1:]))"
        lines: list[str] = []
        with subprocess.Popen(
            [sys.executable, "-c", program, *FIT, *arguments],
            cwd=workspace,
            env=command_environment(workspace) | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            guard = threading.Timer(HANG_S, process.kill)
            guard.start()
            for line in process.stdout:
                lines.append(line)
                on_line(line, process)
            guard.cancel()
        self.output = "".join(lines)
        assert process.returncode == 0, self.output
        assert "Traceback" not in self.output
        self.run = Run(self.output, workspace)

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        return torch.load(self.run.folder / f"checkpoints/{name}.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def alone(workspace: Path) -> Finished:
    """The fit without W&B."""
    return Finished(workspace, "--trainer.logger=false")


def require_same_training(ours: Finished, alone: Finished) -> None:
    for name in ("best", "last"):
        pairs = zip(ours.weights(name).items(), alone.weights(name).items(), strict=True)
        assert all(key == other and torch.equal(value, there) for (key, value), (other, there) in pairs)
    for key in ("train/loss", "val/loss", "val/acc1", "test/loss", "test/acc1"):
        assert ours.run.console(key) == alone.run.console(key)


def require_one_run_when_synced(finished: Finished, workspace: Path) -> None:
    """Upload everything in the run's folder to a server that knows nothing, as a user does later."""
    (record,) = finished.run.folder.glob("wandb/*run-*/*.wandb")
    with WandbServer() as server:
        environment = command_environment(workspace) | server.environment
        sync = [str(BIN / "wandb"), "sync", "--no-skip-online", str(record.parent)]
        done = subprocess.run(sync, env=environment, capture_output=True, text=True, timeout=120, cwd=workspace)
        assert done.returncode == 0, done.stderr
    assert server.runs == [record.stem.removeprefix("run-")]
    (run,) = server.runs
    if record.parent.name.startswith("offline"):  # online, the first server had to give leave for it
        assert server.artifacts == [f"cost-{run}"]
    for key in ("train/loss", "val/acc1"):
        assert server.curve(run, key) == pytest.approx(finished.run.console(key), abs=5.1e-5)
        assert len(server.curve(run, key)) == EPOCHS
    assert len(server.curve(run, "test/acc1")) == 1


def test_a_healthy_server_changes_nothing_and_gets_the_curve(alone: Finished, workspace: Path) -> None:
    """What the other tests take for granted of the server of theirs."""
    with WandbServer() as server:
        finished = Finished(workspace, environment=server.environment)
    require_same_training(finished, alone)
    assert "W&B      online, " in finished.output
    (run,) = server.runs
    assert server.curve(run, "val/acc1") == pytest.approx(finished.run.console("val/acc1"), abs=5.1e-5)


@pytest.mark.parametrize("behaviour", others_in_full(BROKEN, "silent"))
def test_a_server_that_is_not_there(behaviour: Any, alone: Finished, workspace: Path, full: bool) -> None:
    with WandbServer(behaviour) as server:
        finished = Finished(workspace, environment=server.environment, timeouts={} if full else NO_START)
    assert f"W&B      offline; {server.url} does not answer" in finished.output
    require_same_training(finished, alone)
    require_one_run_when_synced(finished, workspace)


@pytest.mark.full
@pytest.mark.parametrize("later", ["silent", "fail"])
def test_a_server_that_gives_no_run(later: Any, alone: Finished, workspace: Path, full: bool) -> None:
    with WandbServer(trouble=lambda body: "RunResumeStatus" in body, later=later) as server:
        finished = Finished(workspace, environment=server.environment, timeouts={} if full else NO_START)
    assert "W&B      offline; the server gave no run" in finished.output
    require_same_training(finished, alone)
    require_one_run_when_synced(finished, workspace)


@pytest.mark.parametrize(
    "place", others_in_full([*product(WHEN, BROKEN)], ("mid", "drop"), ("end", "silent")), ids="-".join
)
def test_a_server_that_is_lost(place: tuple[str, Any], alone: Finished, workspace: Path, full: bool) -> None:
    """With the first row of metrics, or with the word that the run is complete."""
    when, later = place
    sign = {"mid": "wandb-history.jsonl", "end": '"complete":true'}[when]

    def trouble(body: str) -> bool:
        return sign in body

    with WandbServer(trouble=trouble, later=later) as server:
        finished = Finished(workspace, environment=server.environment, timeouts={} if full else NO_END)
        assert server.behaviour == later
    assert "W&B      online, " in finished.output
    require_same_training(finished, alone)
    assert "upload   uv run wandb sync --no-skip-online runs/" in finished.output
    require_one_run_when_synced(finished, workspace)


@pytest.mark.parametrize("mode", others_in_full(["online", "offline"], "online"))
def test_a_run_outlives_the_process_of_wandb(mode: str, alone: Finished, workspace: Path) -> None:
    def kill(line: str, process: Any) -> None:
        if line.startswith("epoch 1"):
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            (core,) = [pid for pid in children if "wandb-core" in Path(f"/proc/{pid}/cmdline").read_text()]
            os.kill(int(core), signal.SIGKILL)

    with WandbServer() as server:
        arguments = ["--trainer.logger.mode=offline"] if mode == "offline" else []
        finished = Finished(workspace, *arguments, environment=server.environment, on_line=kill)
    require_same_training(finished, alone)
    assert len(re.findall(r"^W&B      its process is gone", finished.output, re.MULTILINE)) == 2


def test_a_process_of_wandb_that_does_not_start(alone: Finished, workspace: Path) -> None:
    """As where a limit on processes leaves it no threads; W&B 0.31 waits for a lock of its own then, for ever."""
    service = "import wandb.sdk.lib.service.service_process as service"
    finished = Finished(workspace, before=f"{service}; service.get_core_path = lambda: '/bin/false'")
    (line,) = (line for line in finished.output.splitlines() if line.startswith("W&B"))
    assert line.startswith("W&B      disabled; W&B's own process does not start (")
    require_same_training(finished, alone)


def test_the_waits_are_within_their_bounds() -> None:
    """By the values that a run has; the tests above shorten them unless they run in full."""
    assert tracking.ANSWER_TIMEOUT + tracking.INIT_TIMEOUT <= START_S - 5
    assert tracking.FINISH_TIMEOUT + 15 <= END_S - 5
