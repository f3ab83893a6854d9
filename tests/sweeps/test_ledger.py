"""What a run's folder says of it: its state, its attempts, and how far it has come."""

import json
import os
import shutil
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
from scconv_lab.run_folder.source_code import source_hashes
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
    assert ledger.results(begun) == {"schema": 1, "test/acc1": 0.9}


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


@pytest.mark.parametrize("code", [4, 130, 138, 143])
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
    assert ledger.progress(run) == ledger.Progress()
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


class TestMadeOtherwise:
    """Which finished runs other code has made, and how that is said."""

    @pytest.fixture
    def here(self, run: Run) -> dict[str, object]:
        return {key: provenance()[key] for key in ("git_commit", "lock_hash")} | {"code": source_hashes(run.config)}

    def test_nothing_is_said_of_the_same_code(self, run: Run, here: dict[str, object]) -> None:
        run.folder.mkdir(parents=True)
        assert ledger.made_otherwise(run) == ""
        write_results(run.folder, here)
        assert ledger.made_otherwise(run) == ""

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"code": {"scconv_lab": "other"}}, "other code: scconv_lab"),
            ({"code": {}}, "other code: scconv_lab"),
            ({"lock_hash": "other"}, "other versions: uv.lock"),
            ({"git_commit": "other"}, ""),  # the sources say whether another commit is other code
            ({"git_commit": "other", "code": None}, "other code: another commit"),
        ],
    )
    def test_what_differs_is_named(
        self, changed: dict[str, object], said: str, run: Run, here: dict[str, object]
    ) -> None:
        run.folder.mkdir(parents=True)
        write_results(run.folder, here | changed)
        assert ledger.made_otherwise(run) == said

    def test_other_defaults_are_named(self, begun: Run, here: dict[str, object]) -> None:
        write_results(begun.folder, here)
        begun.files.config.write_text("seed_everything: 0\ntrainer: {inference_mode: false}\n")
        begun.config["trainer"]["inference_mode"] = True
        assert ledger.made_otherwise(begun) == ("other defaults: trainer.inference_mode is False there and True here")

    def test_what_is_set_aside_is_new_and_keeps_what_it_left(self, begun: Run, here: dict[str, object]) -> None:
        for count in (1, 2):
            write_results(begun.folder, here)
            ledger.set_aside(begun)
            assert ledger.state(begun) == "new"
            assert (begun.root / f"replaced/{begun.id}-{count}/results.json").is_file()
            assert begun.files.times_replaced == count
            begun.folder.mkdir()


class TestDamage:
    """A damaged file of one run is named, and is that run's affair alone."""

    @pytest.mark.parametrize(
        "content", ["", "{", "[]", "3", '"x"', "garbage}", '{"test/acc1": "high"}', "\0\0}", "[" * 9999]
    )
    def test_results_that_are_none(self, begun: Run, content: str) -> None:
        begun.files.results.write_text(content)
        assert ledger.state(begun) == "damaged"
        assert str(begun.files.results) in ledger.damage(begun)
        assert ledger.results(begun) == {}
        assert ledger.made_otherwise(begun) == ""

    def test_results_of_a_later_version_ask_for_an_update(self, begun: Run) -> None:
        begun.files.results.write_text('{"schema": 99}')
        assert "schema 99" in ledger.damage(begun)

    @pytest.mark.parametrize("content", ["", "{", "[]", "3", '"x"', "garbage}", '{"code": "x"}', '{"code": 1}\n\0\0}'])
    def test_attempts_that_are_none_are_passed_over(self, begun: Run, content: str) -> None:
        begun.files.attempts.write_text(content)
        assert ledger.state(begun) == "interrupted"
        assert ledger.failures(begun) == ('{"code": 1}' in content)
        ledger.note(begun, code=1)
        assert ledger.failures(begun) == 1 + ('{"code": 1}' in content)

    @pytest.mark.parametrize("name", ["results", "lock", "config", "launched", "attempts", "progress"])
    def test_a_folder_in_the_place_of_a_file(self, run: Run, name: str) -> None:
        file = getattr(run.files, name)
        file.mkdir(parents=True)
        assert ledger.state(run) in ("damaged", "new")
        assert ledger.progress(run) == ledger.Progress()

    @pytest.mark.parametrize("name", ["config", "launched"])
    def test_a_configuration_that_is_none(self, begun: Run, name: str) -> None:
        getattr(begun.files, name).write_text("[1, 2")
        assert ledger.state(begun) == "damaged"

    def test_a_folder_that_vanished_can_be_noted_in(self, begun: Run) -> None:
        shutil.rmtree(begun.folder)
        ledger.note(begun, code=1)
        assert (ledger.state(begun), ledger.failures(begun)) == ("new", 1)


def test_a_run_that_ends_well_and_leaves_nothing_has_failed(begun: Run) -> None:
    ledger.note(begun, code=0)
    assert ledger.state(begun) == "interrupted"
    ledger.note(begun, code=0)
    assert ledger.state(begun) == "failed"


class TestProgress:
    """How far a run has come, by what its processes wrote."""

    def write(self, run: Run, *lines: dict[str, object] | str) -> ledger.Progress:
        run.folder.mkdir(parents=True, exist_ok=True)
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        run.files.progress.write_text("\n".join(texts))
        return ledger.progress(run)

    def line(self, epoch: int, **changed: object) -> dict[str, object]:
        whole = {
            "epoch": epoch,
            "epochs": 15,
            "step": 19 * epoch,
            "steps": None,
            "seconds": 2.0,
            "val/acc1": epoch / 20,
        }
        return whole | changed

    def test_it_is_what_a_run_printed(self, run: Run, quick_run: Printed) -> None:
        lines = (quick_run.folder / "progress.jsonl").read_text().splitlines()
        for epoch in (1, 9, 15):
            progress = self.write(run, *lines[:epoch])
            assert (progress.epoch, progress.epochs, str(progress)) == (epoch, 15, f"{epoch}/15")
            assert [round(value, 4) for value in progress.accuracies.values()] == quick_run.console("val/acc1")[:epoch]
            assert progress.seconds_left == pytest.approx((15 - epoch) * sum(progress.seconds) / epoch)

    def test_before_the_first_epoch_nothing_is_known(self, run: Run) -> None:
        assert ledger.progress(run) == self.write(run) == ledger.Progress()
        assert ledger.Progress().seconds_left is None
        assert str(ledger.Progress()) == ""

    def test_an_epoch_done_twice_counts_as_it_was_last(self, run: Run) -> None:
        progress = self.write(run, self.line(1), self.line(2), self.line(1, **{"val/acc1": 0.125}))
        assert progress.accuracies == {1: 0.125, 2: 0.1}
        assert progress.epoch == 2

    def test_an_epoch_without_validation_has_no_accuracy(self, run: Run) -> None:
        assert self.write(run, self.line(1), self.line(2, **{"val/acc1": None})).accuracies == {1: 0.05}

    def test_a_run_that_steps_end_is_shown_in_steps(self, run: Run) -> None:
        progress = self.write(run, self.line(3, epochs=None, step=50, steps=200))
        assert str(progress) == "step 50/200"
        assert progress.seconds_left == pytest.approx(6.0)

    def test_the_sooner_of_both_ends_it(self, run: Run) -> None:
        assert self.write(run, self.line(3, epochs=30, step=50, steps=100)).seconds_left == pytest.approx(2.0)

    @pytest.mark.parametrize(
        "damaged", ["", "{", "[]", "3", "\0", '{"epoch": 2}', '{"epoch": "x"}', '{"epoch": 3, "ep']
    )
    def test_a_damaged_line_is_passed_over(self, run: Run, damaged: str) -> None:
        assert self.write(run, damaged, self.line(1), damaged).epoch == 1


def test_last_lines_leave_out_empty_ones_and_bear_any_byte(run: Run) -> None:
    run.folder.mkdir(parents=True)
    run.files.log.write_bytes(b"$ x\none\n\n  \ntwo \xff\nthree\n\n")
    assert ledger.last_lines(run, 2) == ["two \ufffd", "three"]
    assert ledger.last_lines(run, 9) == ["$ x", "one", "two \ufffd", "three"]
