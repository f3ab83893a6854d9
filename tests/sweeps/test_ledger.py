"""What a run's folder says of it: its state, its attempts, and how far it has come."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from jsonargparse import Namespace

from scconv_lab.run_folder import lock
from scconv_lab.run_folder.provenance import provenance
from scconv_lab.run_folder.resume import write_results
from scconv_lab.sweeps import ledger
from scconv_lab.sweeps.file import Resources
from scconv_lab.sweeps.grid import Arm
from scconv_lab.sweeps.resolve import Run, launched
from tests.runs import REPOSITORY
from tests.runs import Run as Printed


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run whose folder nothing has been written to."""
    config = {"trainer": {"default_root_dir": str(tmp_path / "runs/sweeps"), "devices": 1}, "seed_everything": 0}
    return Run("0123456789ab", Arm("S", {"arm": "S"}, (), Resources()), 0, config, Namespace())


@pytest.fixture
def begun(run: Run) -> Run:
    """A run that a fit has begun with."""
    ledger.prepare(run)
    (run.folder / "config.yaml").write_text("seed_everything: 0\n")
    return run


@contextmanager
def worked_on(run: Run) -> Iterator["subprocess.Popen[str]"]:
    """While another process has the run's lock."""
    program = """\
import pathlib, runpy, sys
runpy.run_path(sys.argv[1])["take"](pathlib.Path(sys.argv[2]))
print("has it", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(lock.__file__), str(run.folder)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "has it\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_run_is_new_until_a_fit_has_begun(run: Run) -> None:
    assert ledger.state(run) == "new"
    ledger.prepare(run)
    assert ledger.state(run) == "new"
    (run.folder / "config.yaml").write_text("seed_everything: 0\n")
    assert ledger.state(run) == "interrupted"


def test_results_are_the_only_mark_of_being_done(begun: Run) -> None:
    ledger.note(begun, code=0, seconds=3.0)
    assert ledger.state(begun) == "interrupted"
    assert ledger.results(begun) == {}
    write_results(begun.folder, {"test/acc1": 0.9})
    assert ledger.state(begun) == "done"
    assert ledger.results(begun) == {"test/acc1": 0.9}


def test_a_run_that_a_process_has_is_running_until_that_dies(begun: Run) -> None:
    with worked_on(begun) as process:
        assert ledger.state(begun) == "running"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert ledger.state(begun) == "interrupted"


def test_what_is_done_or_running_is_so_whatever_came_before(begun: Run) -> None:
    for _ in range(3):
        ledger.note(begun, code=1)
    ledger.note(begun, stopped="hopeless")
    with worked_on(begun):
        assert ledger.state(begun) == "running"
    write_results(begun.folder, {})
    assert ledger.state(begun) == "done"


@pytest.mark.parametrize("code", [1, 2, 3, 137, -9, -11, None])
def test_two_failures_make_a_run_failed(begun: Run, code: int | None) -> None:
    ledger.note(begun, code=code, seconds=1.0)
    assert ledger.state(begun) == "interrupted"
    ledger.note(begun, code=code, seconds=1.0)
    assert ledger.failures(begun) == 2
    assert ledger.state(begun) == "failed"


@pytest.mark.parametrize("code", [0, 4, 130, 138, 143])
def test_an_end_in_order_is_no_failure(begun: Run, code: int) -> None:
    ledger.note(begun, code=1)
    for _ in range(5):
        ledger.note(begun, code=code, seconds=1.0)
    assert ledger.failures(begun) == 1
    assert ledger.state(begun) == "interrupted"


def test_a_run_that_failed_before_it_began_is_failed_too(run: Run) -> None:
    ledger.prepare(run)
    ledger.note(run, code=2)
    assert ledger.state(run) == "new"
    ledger.note(run, code=2)
    assert ledger.state(run) == "failed"


def test_a_stopped_run_says_why_and_is_no_failure(begun: Run) -> None:
    assert ledger.stopped_early(begun) is None
    ledger.note(begun, code=143, seconds=2.0)
    ledger.note(begun, stopped="cannot reach plain any more")
    assert ledger.stopped_early(begun) == "cannot reach plain any more"
    assert ledger.state(begun) == "stopped"
    assert ledger.failures(begun) == 0


def test_forgiveness_starts_the_count_anew_and_forgets_no_time(begun: Run) -> None:
    for seconds in (1.0, 2.0):
        ledger.note(begun, code=1, seconds=seconds)
    ledger.note(begun, stopped="hopeless")
    ledger.forgive(begun)
    assert ledger.attempts(begun) == []
    assert ledger.state(begun) == "interrupted"
    ledger.note(begun, code=1, seconds=4.0, gpu="0")
    assert ledger.attempts(begun) == [{"code": 1, "seconds": 4.0, "gpu": "0"}]
    assert ledger.state(begun) == "interrupted"
    assert ledger.seconds(begun) == 7.0
    ledger.note(begun, code=1)
    assert ledger.state(begun) == "failed"


def test_without_attempts_nothing_is_known(run: Run) -> None:
    assert ledger.attempts(run) == []
    assert ledger.failures(run) == 0
    assert ledger.seconds(run) is None
    assert ledger.last_lines(run, 3) == []
    assert ledger.progress(run) == ledger.Progress(0, (), {})
    assert not run.root.exists()


@pytest.mark.parametrize("rest", ['{"code": 1, "sec', "{", '{"code": 1'])
def test_a_line_that_was_cut_short_spoils_no_other(begun: Run, rest: str) -> None:
    ledger.note(begun, code=1)
    with (begun.folder / "attempts.jsonl").open("a") as file:
        file.write(rest)
    assert ledger.attempts(begun) == [{"code": 1}]
    ledger.note(begun, code=3)
    assert ledger.attempts(begun) == [{"code": 1}, {"code": 3}]
    ledger.note(begun, code=0)
    assert [attempt["code"] for attempt in ledger.attempts(begun)] == [1, 3, 0]


def test_a_note_is_one_line(begun: Run) -> None:
    ledger.note(begun, code=1, why="a\nb größer")
    ledger.note(begun, code=2)
    lines = (begun.folder / "attempts.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"code": 1, "why": "a\nb größer"}, {"code": 2}]


def test_the_runs_file_is_what_is_launched(run: Run) -> None:
    file = ledger.prepare(run)
    assert file == ledger.run_file(run) == run.folder / "run.yaml"
    assert yaml.safe_load(file.read_text()) == launched(run)


def test_a_new_run_takes_another_layout_and_one_that_has_begun_keeps_its_own(run: Run) -> None:
    other = Run(run.id, run.arm, 0, {**run.config, "trainer": {**run.config["trainer"], "devices": 4}}, run.settings)
    assert ledger.layout(run)["devices"] == 1
    ledger.prepare(run)
    ledger.prepare(other)
    assert ledger.layout(run)["devices"] == 4
    (run.folder / "config.yaml").write_text("seed_everything: 0\n")
    ledger.prepare(run)
    assert ledger.layout(run)["devices"] == 4
    ledger.run_file(run).unlink()
    ledger.prepare(run)
    assert ledger.layout(run)["devices"] == 1


def test_another_commit_or_other_versions_are_noticed(begun: Run) -> None:
    here = {key: provenance()[key] for key in ("git_commit", "lock_hash")}
    write_results(begun.folder, here)
    assert not ledger.by_other_code(begun)
    for key in here:
        write_results(begun.folder, here | {key: "other"})
        assert ledger.by_other_code(begun)


def write_log(run: Run, *processes: str) -> None:
    """What the run's processes have printed, each under the command that started it."""
    run.folder.mkdir(parents=True, exist_ok=True)
    log = "".join(f"\n$ scconv-lab fit --config {ledger.run_file(run)}\n{printed}" for printed in processes)
    (run.folder / ledger.LOG).write_text(log)


def up_to(output: str, epoch: int, *, behind: int = 0) -> str:
    """What a run has printed when an epoch is done, but for the lines of those before."""
    heads = [f"epoch {number}/" for number in range(behind + 1, epoch + 1)]
    lines = output.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("epoch ") or line.startswith(tuple(heads)))


def test_progress_is_read_from_what_a_run_prints(run: Run, quick_run: Printed) -> None:
    accuracies = dict(enumerate(quick_run.console("val/acc1"), start=1))
    assert len(accuracies) == 15
    for epoch in (1, 9, 10, 15):
        write_log(run, up_to(quick_run.output, epoch))
        progress = ledger.progress(run)
        assert (progress.epoch, progress.epochs) == (epoch, 15)
        assert progress.accuracies == {number: accuracies[number] for number in range(1, epoch + 1)}
        assert len(progress.seconds) == epoch
        assert progress.seconds_left == pytest.approx((15 - epoch) * sum(progress.seconds) / epoch)


def test_before_the_first_epoch_is_done_no_time_is_known(run: Run, quick_run: Printed) -> None:
    write_log(run, up_to(quick_run.output, 0))
    assert ledger.progress(run) == ledger.Progress(0, (), {})
    assert ledger.progress(run).seconds_left is None


def test_a_run_that_goes_on_is_as_far_as_all_its_processes_and_as_fast_as_the_last(
    run: Run, quick_run: Printed
) -> None:
    first, second = up_to(quick_run.output, 4), up_to(quick_run.output, 6, behind=3)
    write_log(run, first, second)
    progress = ledger.progress(run)
    accuracies = dict(enumerate(quick_run.console("val/acc1"), start=1))
    assert progress.accuracies == {number: accuracies[number] for number in range(1, 7)}
    seconds = re.findall(r"^epoch [456]/.* ([\d.]+) s$", quick_run.output, re.MULTILINE)
    assert progress.seconds == tuple(map(float, seconds))
    assert progress.seconds_left == pytest.approx(9 * sum(progress.seconds) / 3)
    write_log(run, first, up_to(quick_run.output, 3))
    assert ledger.progress(run).epoch == 4
    write_log(run, first, "")
    assert ledger.progress(run).seconds_left is None


def test_an_epoch_done_twice_counts_as_it_was_last(run: Run, quick_run: Printed) -> None:
    line = next(line for line in quick_run.output.splitlines() if line.startswith("epoch 1/"))
    again = re.sub(r"val/acc1 \S+", "val/acc1 0.1250", line)
    write_log(run, f"{line}\n", f"{again}\n")
    assert ledger.progress(run).accuracies == {1: 0.125}


def test_long_runs_and_slow_epochs_are_read_too(run: Run, quick_run: Printed) -> None:
    line = next(line for line in quick_run.output.splitlines() if line.startswith("epoch 1/15 "))
    write_log(run, re.sub(r"[\d.]+ s$", "12345.6 s", line.replace("epoch 1/15 ", "epoch 1000/12000 ")) + "\n")
    progress = ledger.progress(run)
    assert (progress.epoch, progress.epochs, progress.seconds) == (1000, 12000, (12345.6,))


def test_last_lines_leave_out_empty_ones_and_bear_any_byte(run: Run) -> None:
    write_log(run, "")
    (run.folder / ledger.LOG).write_bytes(b"$ x\none\n\n  \ntwo \xff\nthree\n\n")
    assert ledger.last_lines(run, 2) == ["two \ufffd", "three"]
    assert ledger.last_lines(run, 9) == ["$ x", "one", "two \ufffd", "three"]
