"""Attempts at a run, and which of them count as failures."""

import subprocess
import sys

import pytest

from scconv_lab.run_folder.attempts import attempts, failures, seconds_spent, stopped_early
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.run_folder.state import state_of
from tests.run_folder.worked_on import note


@pytest.mark.parametrize("code", [1, 2, 3, 137, -9, -11, None])
def test_two_failures_make_a_run_failed(begun: RunFolder, code: int | None) -> None:
    note(begun, code=code, seconds=1.0)
    assert state_of(begun) == "interrupted"
    note(begun, code=code, seconds=1.0)
    assert failures(begun) == 2
    assert state_of(begun) == "failed"


@pytest.mark.parametrize("code", [4, 130, 138, 143])
def test_an_end_in_order_is_no_failure(begun: RunFolder, code: int) -> None:
    note(begun, code=1)
    for _ in range(5):
        note(begun, code=code, seconds=1.0)
    assert failures(begun) == 1
    assert state_of(begun) == "interrupted"


def test_a_stopped_run_says_why_and_is_no_failure(begun: RunFolder) -> None:
    assert stopped_early(begun) is None
    note(begun, code=143, seconds=2.0)
    note(begun, stopped="cannot reach plain any more")
    assert stopped_early(begun) == "cannot reach plain any more"
    assert state_of(begun) == "stopped"
    assert failures(begun) == 0


@pytest.mark.parametrize("rest", ['{"code": 1, "sec', "{", '{"code": 1'])
def test_a_line_that_was_cut_short_spoils_no_other(begun: RunFolder, rest: str) -> None:
    note(begun, code=1)
    with begun.attempts.open("a") as file:
        file.write(rest)
    assert attempts(begun) == [{"code": 1}]
    note(begun, code=3)
    assert attempts(begun) == [{"code": 1}, {"code": 3}]
    note(begun, code=0)
    assert [attempt["code"] for attempt in attempts(begun)] == [1, 3, 0]


def test_a_run_that_ends_well_and_leaves_nothing_has_failed(begun: RunFolder) -> None:
    note(begun, code=0)
    assert state_of(begun) == "interrupted"
    note(begun, code=0)
    assert state_of(begun) == "failed"


def test_without_attempts_nothing_is_known(run: RunFolder) -> None:
    assert attempts(run) == []
    assert failures(run) == 0
    assert seconds_spent(run) is None
    assert not run.path.exists()


def test_the_module_prints_the_number_of_failures_without_a_heavy_import(begun: RunFolder) -> None:
    """The script of SLURM asks it between two attempts."""
    for code in (1, 143, 2):
        note(begun, code=code)
    program = f"""
import runpy, sys
sys.argv = ["attempts", {str(begun.path)!r}]
runpy.run_module("scconv_lab.run_folder.attempts", run_name="__main__")
print(*{{"torch", "yaml", "lightning"}} & {{*sys.modules}})
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "2\n\n"
