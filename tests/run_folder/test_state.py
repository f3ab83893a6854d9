"""What a run's folder says has become of it."""

import signal

import pytest

from scconv_lab.run_folder.attempts import failures
from scconv_lab.run_folder.files import write_whole
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.run_folder.progress import Progress, progress_of
from scconv_lab.run_folder.results import write_results
from scconv_lab.run_folder.state import damage, state_of
from tests.run_folder.worked_on import note, worked_on


def test_a_run_is_new_until_a_fit_has_begun(run: RunFolder) -> None:
    assert state_of(run) == "new"
    run.path.mkdir(parents=True)
    write_whole(run.launched, "seed_everything: 0\n")
    assert state_of(run) == "new"
    run.config.write_text("seed_everything: 0\n")
    assert state_of(run) == "interrupted"


def test_results_are_the_only_mark_of_being_done(begun: RunFolder) -> None:
    note(begun, code=0, seconds=3.0)
    assert state_of(begun) == "interrupted"
    write_results(begun.path, {"test/acc1": 0.9})
    assert state_of(begun) == "done"


def test_a_run_that_a_process_has_is_running_until_that_dies(begun: RunFolder) -> None:
    with worked_on(begun) as process:
        assert state_of(begun) == "running"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert state_of(begun) == "interrupted"


def test_what_is_done_or_running_is_so_whatever_came_before(begun: RunFolder) -> None:
    for _ in range(3):
        note(begun, code=1)
    note(begun, stopped="hopeless")
    with worked_on(begun):
        assert state_of(begun) == "running"
    write_results(begun.path, {})
    assert state_of(begun) == "done"


def test_a_run_that_failed_before_it_began_is_failed_too(run: RunFolder) -> None:
    run.path.mkdir(parents=True)
    write_whole(run.launched, "seed_everything: 0\n")
    note(run, code=2)
    assert state_of(run) == "new"
    note(run, code=2)
    assert state_of(run) == "failed"


class TestDamage:
    """A damaged file of one run is named, and is that run's affair alone."""

    @pytest.mark.parametrize(
        "content", ["", "{", "[]", "3", '"x"', "garbage}", '{"test/acc1": "high"}', "\0\0}", "[" * 9999]
    )
    def test_results_that_are_none(self, begun: RunFolder, content: str) -> None:
        begun.results.write_text(content)
        assert state_of(begun) == "damaged"
        assert str(begun.results) in damage(begun)

    def test_results_of_a_later_version_ask_for_an_update(self, begun: RunFolder) -> None:
        begun.results.write_text('{"schema": 99}')
        assert "schema 99" in damage(begun)

    @pytest.mark.parametrize("content", ["", "{", "[]", "3", '"x"', "garbage}", '{"code": "x"}', '{"code": 1}\n\0\0}'])
    def test_attempts_that_are_none_are_passed_over(self, begun: RunFolder, content: str) -> None:
        begun.attempts.write_text(content)
        assert state_of(begun) == "interrupted"
        assert failures(begun) == ('{"code": 1}' in content)
        note(begun, code=1)
        assert failures(begun) == 1 + ('{"code": 1}' in content)

    @pytest.mark.parametrize("name", ["results", "lock", "config", "launched", "attempts", "progress"])
    def test_a_folder_in_the_place_of_a_file(self, run: RunFolder, name: str) -> None:
        file = getattr(run, name)
        file.mkdir(parents=True)
        assert state_of(run) in ("damaged", "new")
        assert progress_of(run) == Progress()

    @pytest.mark.parametrize("name", ["config", "launched"])
    def test_a_configuration_that_is_none(self, begun: RunFolder, name: str) -> None:
        getattr(begun, name).write_text("[1, 2")
        assert state_of(begun) == "damaged"
