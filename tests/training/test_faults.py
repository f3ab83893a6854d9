"""Faults that a run has to outlive, done to real processes.

`uv run --locked pytest -m slow tests/training/test_faults.py --kills 50` is the whole suite; by default a tenth of the
kills are done.
"""

import json
import random
import signal
import time
from pathlib import Path

import pytest

from tests.runs import REPOSITORY
from tests.training.checkpoints import differing, load
from tests.training.processes import start, wait

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
    "on_save_checkpoint": 15,
    "fsync": 60,
    "replace": 60,
    "on_train_end": 1,
    "on_test_batch_start": 3,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kills = metafunc.config.getoption("kills")
    for name, count in {"kill": kills, "kill_of_two": max(2, kills // 5)}.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, range(count))


def new_workspace(folder: Path) -> Path:
    folder.mkdir()
    for name in ("configs", "experiments"):
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


def run_of(workspace: Path) -> Path:
    """The one run that goes on to its end; those that died before their first checkpoint left nothing to go on from."""
    (folder,) = (path.parent for path in workspace.glob("runs/*/*/results.json"))
    return folder


def arguments(processes: int) -> list[str]:
    return [*FIT, "--trainer.devices", str(processes), "--trainer.strategy", "auto" if processes == 1 else "ddp"]


def whole_run(workspace: Path, processes: int) -> tuple[Path, float]:
    began = time.monotonic()
    codes = wait(start(arguments(processes), workspace, processes=processes), timeout=240)
    assert codes == [0] * processes, output(workspace)
    return run_of(workspace), time.monotonic() - began


def output(workspace: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(workspace.glob("output-*.txt")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """An uninterrupted run of one process, and the seconds it took."""
    return whole_run(new_workspace(tmp_path_factory.mktemp("whole") / "one"), 1)


@pytest.fixture(scope="module")
def whole_of_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """The same of two processes."""
    return whole_run(new_workspace(tmp_path_factory.mktemp("whole") / "two"), 2)


def require_equal(run: Path, whole: Path) -> None:
    """Weights, optimizer, schedule, loops, best score, generators and results, to the last bit."""
    for name in ("last", "best"):
        ours, theirs = (load(folder / "checkpoints" / f"{name}.ckpt") for folder in (run, whole))
        for content in (ours, theirs):  # the folder's name is its start
            for state in content["callbacks"].values():
                state.pop("dirpath", None)
        assert differing(ours, theirs) == []
    results = [json.loads((folder / "results.json").read_text()) for folder in (run, whole)]
    assert results[0] == results[1]


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
