"""Sweeps run as a user runs them: once, apart from each other, and whatever is killed on the way."""

import json
import os
import random
import re
import shlex
import shutil
import signal
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from tests.runs import REPOSITORY, command_environment, new_workspace
from tests.training import processes
from tests.training.checkpoints import require_equal
from tests.training.processes import alive, left_over, wait

pytestmark = pytest.mark.slow

SMALL = """\
name: small
experiment: ../experiments/baseline.yaml
grid: {arm: {plain: {}, S: {config: ../configs/unit/sru.yaml}}}
seeds: [0, 1]
"""
QUICK = ["--config", "configs/scale/quick.yaml", "--set", "trainer.accelerator=cpu"]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = new_workspace(tmp_path / "workspace")
    (folder / "sweeps").mkdir()
    write(folder, SMALL)
    return folder


def write(here: Path, text: str) -> None:
    (here / "sweeps/small.yaml").write_text(text)


@dataclass(frozen=True)
class Launcher:
    """`scconv-lab sweep` in a process of its own, forked as its runs are: imports would be most of the time."""

    here: Path
    process: BaseProcess
    before: tuple[int, ...]

    def result(self, timeout: float = 400) -> tuple[int | None, str, str]:
        """Its exit code, what it printed, and its errors."""
        (code,) = wait([self.process], timeout=timeout)
        return code, *(text[length:] for text, length in zip(_texts(self.here), self.before, strict=True))


def start(here: Path, *arguments: str) -> Launcher:
    before = tuple(map(len, _texts(here)))
    environment = command_environment(here) | {"PYTHONPATH": str(REPOSITORY)}
    (process,) = processes.start(["sweep", "sweeps/small.yaml", *QUICK, *arguments], here, environment=environment)
    return Launcher(here, process, before)


def _texts(here: Path) -> list[str]:
    files = [here / f"{name}-0.txt" for name in ("output", "errors")]
    return [file.read_text() if file.exists() else "" for file in files]


def sweep(here: Path, *arguments: str, code: int = 0) -> str:
    ended, output, error = start(here, *arguments).result()
    assert ended == code, f"{output}{error}"
    assert error == ""
    return output


def events(output: str, event: str) -> list[tuple[str, str]]:
    """(arm, seed) of each line of that event."""
    return re.findall(rf"^\d\d:\d\d:\d\d  (\S+) +s(\d+) +{event} ", output, re.MULTILINE)


def folders(here: Path) -> dict[tuple[str, int], Path]:
    """Of each run that is done, by arm and seed."""
    found = {}
    for file in here.glob("runs/sweeps/*/results.json"):
        config = (file.parent / "config.yaml").read_text()
        arm, seed = re.search(r"^arm: (.*)$", config, re.M), re.search(r"^seed_everything: (\d+)$", config, re.M)
        assert arm is not None
        assert seed is not None
        found[arm[1], int(seed[1])] = file.parent
    return found


def require_nothing_left(here: Path) -> None:
    until = time.monotonic() + 120
    while left_over(here) and time.monotonic() < until:
        time.sleep(0.2)
    assert left_over(here) == []


def test_a_sweep_does_what_is_missing_and_no_more(here: Path) -> None:
    """A first time, again, with a seed more, and one of its runs by hand."""
    one = ["--set", "trainer.max_epochs=1"]
    output = sweep(here, *one)
    assert "sweep    small, 4 runs: 4 new\n" in output
    assert sorted(events(output, "done")) == [("S", "0"), ("S", "1"), ("plain", "0"), ("plain", "1")]
    measured = r"\d+\.\d\d +\d+\.\d\d +\S+ to \S+"
    assert re.search(rf"^plain +2 +{measured} +78,042 +781,952", output, re.M)
    assert re.search(rf"^S +2 +{measured} +78,266 +781,952", output, re.M)
    done = folders(here)
    before = {path: path.stat().st_mtime_ns for path in here.glob("runs/**/*") if path.is_file()}

    output = sweep(here, *one)
    assert "sweep    small, 4 runs: 4 done\n" in output
    assert events(output, "starts") == []
    assert {path: path.stat().st_mtime_ns for path in here.glob("runs/**/*") if path.is_file()} == before

    write(here, SMALL.replace("[0, 1]", "[0, 1, 2]"))
    output = sweep(here, *one, "--only", "arm=S")
    assert events(output, "starts") == [("S", "2")]
    assert "other code" not in sweep(here, *one, "--status")

    folder = done["S", 0]
    by_hand = re.search(r"^# by hand: scconv-lab (.*)$", (folder / "log.txt").read_text(), re.M)
    assert by_hand is not None
    fit = processes.start(shlex.split(by_hand[1]), here, environment=command_environment(here))
    assert wait(fit, timeout=240) == [0]
    (alone,) = (path.parent for path in here.glob("runs/*/*/results.json") if path.parent.parent.name != "sweeps")
    require_equal(folder, alone)


@pytest.fixture
def whole(here: Path) -> dict[tuple[str, int], Path]:
    """The runs of a sweep that nobody disturbed, moved aside."""
    sweep(here, "--set", "trainer.max_epochs=6")
    (here / "runs").rename(here / "undisturbed")
    return {key: here / "undisturbed/sweeps" / folder.name for key, folder in _moved(here).items()}


def _moved(here: Path) -> dict[tuple[str, int], Path]:
    (here / "runs").symlink_to(here / "undisturbed")
    found = folders(here)
    (here / "runs").unlink()
    return found


def test_a_sweep_of_which_all_is_killed_ends_as_one_that_was_not(
    here: Path, whole: dict[tuple[str, int], Path], full: bool
) -> None:
    """The launcher or one of its runs, at a random moment; 2 times, and with `--full` 10."""
    draw = random.Random(5)
    killed, wanted = 0, 10 if full else 2
    while killed < wanted:
        launcher = start(here, "--set", "trainer.max_epochs=6")
        while launcher.process.is_alive() and killed < wanted:
            time.sleep(draw.uniform(1, 10))
            if not launcher.process.is_alive():
                break
            working = working_on(here)
            if draw.random() < 0.5 or not working:
                launcher.process.kill()
                launcher.result()
                require_nothing_left(here)
            else:
                os.kill(draw.choice(working), signal.SIGKILL)
            killed += 1
        code, *_ = launcher.result()
        if code == 0 and killed < wanted:
            require_same(here, whole)
            shutil.rmtree(here / "runs")
    sweep(here, "--set", "trainer.max_epochs=6")
    require_same(here, whole)
    require_nothing_left(here)


def working_on(here: Path) -> list[int]:
    """The runs' processes."""
    texts = [file.read_text() for file in here.glob("runs/sweeps/*/lock")]
    pids = [int(text.split()[1]) for text in texts if text.startswith("process ")]
    return [pid for pid in pids if alive(pid)]


def require_same(here: Path, whole: dict[tuple[str, int], Path]) -> None:
    ours = folders(here)
    assert ours.keys() == whole.keys()
    for key, folder in ours.items():
        require_equal(folder, whole[key])


FAULTY = """\
name: small
experiment: ../experiments/baseline.yaml
grid:
  arm:
    well: {}
    crash: {net: tests.sweeps.faulty.Crashing, net.depth: 8}
    memory: {net: tests.sweeps.faulty.Greedy, net.depth: 8}
    nan: {net: tests.sweeps.faulty.Poisoned, net.depth: 8}
    last: {surgery.unit: scconv_lab.nn.SRU}
seeds: [0]
"""


def test_arms_that_fail_leave_the_others_alone_and_say_why(here: Path) -> None:
    write(here, FAULTY)
    output = sweep(here, "--set", "trainer.max_epochs=1", code=1)
    assert sorted(arm for arm, _ in events(output, "done")) == ["last", "well"]
    for arm, ended, why in (
        ("crash", "crashed", "RuntimeError: this net crashes"),
        ("memory", "crashed", "allocate memory"),
        ("nan", "diverged", "scconv-lab: diverged:"),
    ):
        assert len(events(output, "fails")) == 3
        summary = output.partition(f"failed   arm {arm}, seed 0: {ended}, then {ended}\n")[2].partition("\nfailed ")[0]
        assert "log.txt ends in" in summary
        assert why in summary
    again = sweep(here, "--set", "trainer.max_epochs=1", code=1)
    assert events(again, "starts") + events(again, "resumes") == []
    again = sweep(here, "--set", "trainer.max_epochs=1", "--retry-failed", "--only", "arm=nan", code=1)
    assert [arm for arm, _ in events(again, "resumes")] == ["nan", "nan"]


def test_two_launchers_never_run_a_run_twice(here: Path) -> None:
    launchers = [start(here, "--set", "trainer.max_epochs=2") for _ in range(2)]
    for launcher in launchers:
        code, _, error = launcher.result()
        assert (code, error) == (0, "")
    output, _ = _texts(here)
    assert set(events(output, "done")) == {("S", "0"), ("S", "1"), ("plain", "0"), ("plain", "1")}
    assert len(folders(here)) == 4
    for folder in folders(here).values():
        assert [(folder / "log.txt").read_text().count(f"\nepoch {epoch}/2 ") for epoch in (1, 2)] == [1, 1]


def test_gpus_are_divided(here: Path) -> None:
    """Two that are not there: four runs at a time, two on each; the runs themselves end up on the CPU."""
    told = "net: tests.sweeps.faulty.Telling, net.depth: 8"
    text = SMALL.replace("plain: {}", f"plain: {{{told}}}").replace(
        "config: ../configs/unit/sru.yaml", f"{told}, surgery.unit: SRU"
    )
    write(here, f"{text}resources: {{runs_per_gpu: 2}}\n")
    output = sweep(here, "--set", "trainer.max_epochs=1", "--set", "trainer.accelerator=auto", "--gpus", "0,1")
    starts, rest = output.partition(" done ")[::2]
    assert len(events(starts, "starts")) == 4
    assert " starts " not in rest
    seen = [re.findall(r"^sees (\d)$", (f / "log.txt").read_text(), re.M)[0] for f in folders(here).values()]
    assert sorted(seen) == ["0", "0", "1", "1"]


def test_a_run_of_two_processes_and_an_end_in_order(here: Path) -> None:
    """Ctrl-C ends it with a checkpoint, and the same command resumes it."""
    two = [
        "--config",
        "configs/hardware/ddp_cpu.yaml",
        "--set",
        "trainer.max_epochs=12",
        "--only",
        "arm=S",
        "--only",
        "seed=1",
    ]
    launcher = start(here, *two)
    (log,) = wait_for(here, "runs/sweeps/*/log.txt", "epoch 1/12 ")
    assert launcher.process.pid is not None
    os.kill(launcher.process.pid, signal.SIGINT)
    code, output, error = launcher.result(timeout=60)
    assert (code, error) == (130, "")
    assert "ended by SIGINT: 1 interrupted; the same command resumes it" in output
    require_nothing_left(here)
    output = sweep(here, *two)
    assert events(output, "resumes") == [("S", "1")]
    assert "resume   step " in log.read_text()
    assert json.loads((log.parent / "results.json").read_text())["steps"] > 0
    assert len(list(log.parent.glob("wandb/offline-run-*"))) == 2
    assert {path.stem for path in log.parent.glob("wandb/offline-run-*/*.wandb")} == {f"run-{log.parent.name}"}


def wait_for(here: Path, pattern: str, text: str) -> list[Path]:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = [path for path in here.glob(pattern) if text in path.read_text()]
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no {pattern} with {text!r}")


def test_an_arm_that_cannot_reach_the_reference_is_stopped(here: Path) -> None:
    """The learning rate of 0 cannot; the reference has one worker for itself and is done first."""
    rule = "early_stop: {reference: plain, after: 2}\n"
    write(
        here,
        SMALL.replace("S: {config: ../configs/unit/sru.yaml}", "frozen: {optimizer.lr: 0.0}").replace("[0, 1]", "[0]")
        + rule,
    )
    output = sweep(here, "--set", "trainer.max_epochs=8", "--workers", "1")
    assert events(output, "done") == [("plain", "0")]
    assert events(output, "stopped") == [("frozen", "0")]
    assert re.search(r"val/acc1 0\.\d+ after epoch \d/8, where plain gained at most", output)
    assert re.search(r"^frozen +0 of 1", output, re.M)
    assert events(sweep(here, "--set", "trainer.max_epochs=8"), "starts") == []
