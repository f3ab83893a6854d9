"""Faults that a run has to outlive, done to real processes.

`uv run --locked pytest -m slow tests/training/test_faults.py --full` is the whole suite; by default a tenth of the
kills are done.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scconv_lab.run_folder.checkpoint_io import load_verified
from tests.full import others_in_full
from tests.runs import command_environment, new_workspace
from tests.training.checkpoints import require_equal
from tests.training.processes import alive, start, wait

pytestmark = pytest.mark.slow

FIT = [
    *("fit", "--config", "experiments/ablation_sru.yaml", "--config", "configs/scale/quick.yaml"),
    *("--trainer.max_epochs", "3", "--trainer.logger", "false", "--trainer.accelerator", "cpu"),
    *("--data.batch_size", "128", "--save_every", "3", "--resume", "auto"),
]
STEPS = 30
PLACES = {  # how often each is reached in a whole run, about
    "on_train_batch_start": STEPS,
    "on_before_backward": STEPS,
    "on_before_optimizer_step": STEPS,
    "on_train_batch_end": STEPS,
    "on_train_epoch_start": 3,
    "on_validation_batch_start": 8,
    "on_validation_end": 4,
    "on_train_epoch_end": 6,
    "fsync": 60,
    "replace": 60,
    "on_train_end": 1,
    "on_test_batch_start": 3,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kills = 50 if metafunc.config.getoption("full") else 3
    for name, count in {"kill": kills, "kill_of_two": max(1, kills // 5)}.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, range(count))


def run_of(workspace: Path) -> Path:
    """The one run, however early and however often it was killed."""
    (folder,) = (path.parent for path in workspace.glob("runs/*/*/config.yaml"))
    assert (folder / "results.json").is_file()
    return folder


def arguments(processes: int) -> list[str]:
    return [*FIT, "--trainer.devices", str(processes), "--trainer.strategy", "auto" if processes == 1 else "ddp"]


def whole_run(workspace: Path, processes: int) -> tuple[Path, float]:
    began = time.monotonic()
    codes = wait(start(arguments(processes), workspace, processes=processes), timeout=240)
    assert codes == [0] * processes, output(workspace)
    return run_of(workspace), time.monotonic() - began


def output(workspace: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(workspace.glob("*-[01].txt")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """An uninterrupted run of one process, and the seconds it took."""
    return whole_run(new_workspace(tmp_path_factory.mktemp("whole") / "one"), 1)


@pytest.fixture(scope="module")
def whole_of_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The same of two processes."""
    return whole_run(new_workspace(tmp_path_factory.mktemp("whole") / "two"), 2)


def kill_and_go_on(seed: int, workspace: Path, whole: tuple[Path, float], processes: int) -> None:
    """Kill once or twice, at a place or a moment that the seed draws, then let the run go on to its end."""
    draw = random.Random(seed)
    for number in range(draw.choice([1, 1, 2])):
        dying = draw.randrange(processes)
        place = draw.choice([*PLACES, "moment", "moment", "moment"])
        if place == "moment":
            started = start(arguments(processes), workspace, processes=processes)
            time.sleep(draw.uniform(0, whole[1]))
            started[dying].kill()
        else:
            death = (place, draw.randrange(PLACES[place]))
            started = start(arguments(processes), workspace, processes=processes, death=death, dying=dying)
        codes = wait(started, timeout=60)
        if place != "moment":  # which may be before the two have met, where their launcher sees to it
            assert None not in codes, "a process outlived the other's death by a minute"
        if number == 0 and place != "moment":
            assert codes[dying] == -signal.SIGKILL, (place, output(workspace))
    if not list(workspace.glob("runs/*/*/results.json")):
        codes = wait(start(arguments(processes), workspace, processes=processes), timeout=240)
        assert codes == [0] * processes, output(workspace)
    require_equal(run_of(workspace), whole[0])


def test_a_killed_run_ends_as_one_that_was_not(kill: int, tmp_path: Path, whole: tuple[Path, float]) -> None:
    kill_and_go_on(1000 + kill, new_workspace(tmp_path / "workspace"), whole, 1)


def test_a_killed_run_of_two_processes_does_too(
    kill_of_two: int, tmp_path: Path, whole_of_two: tuple[Path, float]
) -> None:
    kill_and_go_on(2000 + kill_of_two, new_workspace(tmp_path / "workspace"), whole_of_two, 2)


def others(first: int) -> list[int]:
    """The processes of a run beside its first."""
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    return [int(pid) for pid in children if "scconv-lab" in Path(f"/proc/{pid}/cmdline").read_text()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads /proc for the processes of a run")
@pytest.mark.parametrize("victim", others_in_full(["first", "second", "first, early"], "second"))
def test_a_process_that_dies_takes_the_other_down_and_the_run_goes_on(
    victim: str, tmp_path: Path, whole_of_two: tuple[Path, float]
) -> None:
    """With Lightning's own start of the second process."""
    workspace = new_workspace(tmp_path / "workspace")
    command = ["scconv-lab", *arguments(2)]
    environment = command_environment(workspace)
    with subprocess.Popen(command, cwd=workspace, env=environment, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        if victim == "first, early":
            while not others(first.pid):
                time.sleep(0.1)
        else:
            next(line for line in first.stdout if line.startswith("epoch 1/"))
        (second,) = others(first.pid)
        os.kill(second if victim == "second" else first.pid, signal.SIGKILL)
        killed = time.monotonic()
        first.wait(timeout=60)
        while alive(second) and time.monotonic() - killed < 60:
            time.sleep(0.1)
    assert not alive(second)
    assert first.returncode != 0
    codes = wait(start(arguments(2), workspace, processes=2), timeout=240)
    assert codes == [0, 0], output(workspace)
    require_equal(run_of(workspace), whole_of_two[0])


def mount(*words: str) -> bool:
    return shutil.which("mount") is not None and subprocess.run(["mount", *words], capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for two checkpoints of about 0.65 MB and not for four."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=1800k", "tmpfs", str(folder)):
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # W&B's own process may be about to end


def arguments_on(disk: Path, *more: str) -> list[str]:
    return [*arguments(1), "--trainer.default_root_dir", str(disk / "runs"), *more]


def on_disk(disk: Path, workspace: Path, *more: str) -> tuple[int | None, str]:
    """The exit code and the errors of a run whose folders are on a disk."""
    errors = workspace / "errors-0.txt"
    errors.unlink(missing_ok=True)
    (code,) = wait(start(arguments_on(disk, *more), workspace), timeout=240)
    return code, errors.read_text()


@pytest.mark.parametrize("logger", ["false", "scconv_lab.training.WandbLogger"])
def test_a_full_disk_is_one_message_and_the_last_good_checkpoint_loads(
    logger: str, small_disk: Path, tmp_path: Path, whole: tuple[Path, float]
) -> None:
    workspace = new_workspace(tmp_path / "workspace")
    code, errors = on_disk(small_disk, workspace, "--trainer.logger", logger)
    assert code == 2, errors
    (error,) = errors.splitlines()
    assert error.startswith(f"scconv-lab: error: {small_disk}/runs/")
    assert "cannot be written (No space left on device): make room" in error
    (folder,) = small_disk.glob("runs/*/*/checkpoints")
    assert load_verified(folder / "last.ckpt")["global_step"] > 0
    assert not list(folder.glob("*.tmp"))
    assert mount("-o", "remount,size=40m", str(small_disk))
    code, errors = on_disk(small_disk, workspace, "--trainer.logger", logger)
    assert code == 0, errors
    require_equal(run_of(small_disk), whole[0])


def test_a_folder_that_cannot_be_written_is_one_message(
    small_disk: Path, tmp_path: Path, whole: tuple[Path, float]
) -> None:
    """First from the beginning, then in the middle of a run."""
    workspace = new_workspace(tmp_path / "workspace")
    assert mount("-o", "remount,ro,size=40m", str(small_disk))
    code, errors = on_disk(small_disk, workspace)
    assert (code, errors.count("\n")) == (2, 1), errors
    assert "cannot be written (Read-only file system)" in errors
    assert mount("-o", "remount,rw", str(small_disk))
    workspace = new_workspace(tmp_path / "middle")
    (process,) = start(arguments_on(small_disk), workspace)
    while process.is_alive() and "epoch 2/" not in output(workspace):
        time.sleep(0.01)
    (folder,) = small_disk.glob("runs/*/*/checkpoints")
    assert mount("--bind", str(folder), str(folder))  # the disk itself cannot be, while the run holds its lock
    while not mount("-o", "remount,ro,bind", str(folder)):  # refused as busy while a checkpoint is being written
        assert process.is_alive(), output(workspace)
    (code,), errors = wait([process], timeout=120), (workspace / "errors-0.txt").read_text()
    assert (code, errors.count("\n")) == (2, 1), output(workspace)
    assert "cannot be written (Read-only file system)" in errors
    subprocess.run(["umount", str(folder)], check=True)
    assert load_verified(folder / "last.ckpt")["global_step"] >= 10
    code, errors = on_disk(small_disk, workspace)
    assert code == 0, errors
    require_equal(run_of(small_disk), whole[0])
