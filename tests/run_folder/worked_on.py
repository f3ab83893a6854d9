"""A run's folder as others leave it: attempts noted, a lock held by another process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scconv_lab.run_folder import lock
from scconv_lab.run_folder.files import append_line
from scconv_lab.run_folder.layout import RunFolder
from tests.runs import REPOSITORY


def note(files: RunFolder, **attempt: Any) -> None:
    """Note an attempt, as a launcher does."""
    append_line(files.attempts, attempt)


@contextmanager
def worked_on(files: RunFolder) -> Iterator["subprocess.Popen[str]"]:
    """While another process has the run's lock."""
    program = """\
import pathlib, runpy, sys
runpy.run_path(sys.argv[1])["take"](pathlib.Path(sys.argv[2]))
print("has it", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(lock.__file__), str(files.path)],
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
