"""What a sweep writes and reads in the folders of its runs."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from jsonargparse import Namespace

from scconv_lab.grid.expand import Arm
from scconv_lab.grid.file import Resources
from scconv_lab.run_folder.attempts import attempts, failures, seconds_spent
from scconv_lab.run_folder.provenance import provenance
from scconv_lab.run_folder.results import write_results
from scconv_lab.run_folder.source_code import source_hashes
from scconv_lab.run_folder.state import state_of
from scconv_lab.sweeps import ledger
from scconv_lab.sweeps.resolve import Run, launched


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


def test_only_a_finished_run_has_results(begun: Run) -> None:
    ledger.note(begun, code=0, seconds=3.0)
    assert ledger.results(begun) == {}
    write_results(begun.folder, {"test/acc1": 0.9})
    assert ledger.results(begun) == {"schema": 1, "test/acc1": 0.9}


def test_forgiveness_starts_the_count_anew_and_forgets_no_time(begun: Run) -> None:
    for seconds in (1.0, 2.0):
        ledger.note(begun, code=1, seconds=seconds)
    ledger.note(begun, stopped="hopeless")
    ledger.forgive(begun)
    assert attempts(begun.files) == []
    assert state_of(begun.files) == "interrupted"
    ledger.note(begun, code=1, seconds=4.0, gpu="0")
    assert attempts(begun.files) == [{"code": 1, "seconds": 4.0, "gpu": "0"}]
    assert state_of(begun.files) == "interrupted"
    assert seconds_spent(begun.files) == 7.0
    ledger.note(begun, code=1)
    assert state_of(begun.files) == "failed"


def test_without_a_log_there_are_no_last_lines(run: Run) -> None:
    assert ledger.last_lines(run, 3) == []
    assert not run.root.exists()


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
            assert state_of(begun.files) == "new"
            assert (begun.root / f"replaced/{begun.id}-{count}/results.json").is_file()
            assert begun.files.times_replaced == count
            begun.folder.mkdir()


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 99}'])
def test_damaged_results_are_none(begun: Run, content: str) -> None:
    begun.files.results.write_text(content)
    assert ledger.results(begun) == {}
    assert ledger.made_otherwise(begun) == ""


def test_a_folder_that_vanished_can_be_noted_in(begun: Run) -> None:
    shutil.rmtree(begun.folder)
    ledger.note(begun, code=1)
    assert (state_of(begun.files), failures(begun.files)) == ("new", 1)


def test_last_lines_leave_out_empty_ones_and_bear_any_byte(run: Run) -> None:
    run.folder.mkdir(parents=True)
    run.files.log.write_bytes(b"$ x\none\n\n  \ntwo \xff\nthree\n\n")
    assert ledger.last_lines(run, 2) == ["two \ufffd", "three"]
    assert ledger.last_lines(run, 9) == ["$ x", "one", "two \ufffd", "three"]
