"""A run's lock keeps other processes off, and dies with its holder."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from scconv_lab.errors import BusyError
from scconv_lab.run_folder import lock


def hold(folder: Path, told: Connection) -> None:
    lock.take(folder)
    told.send(os.getpid())
    signal.pause()


def test_another_process_is_kept_off_until_the_holder_dies(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert lock.holder(folder) is None
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=hold, args=(folder, there))
    process.start()
    pid = here.recv()
    assert f"process {pid} on " in (lock.holder(folder) or "")
    with pytest.raises(BusyError, match=f"run is being worked on by process {pid} on .*; wait for it, or end it"):
        lock.take(folder)
    process.kill()
    process.join()
    assert lock.holder(folder) is None
    lock.take(folder)
    lock.release()


def test_a_process_can_take_what_it_gave_back(tmp_path: Path) -> None:
    for _ in range(2):
        lock.take(tmp_path)
        lock.release()
    assert lock.holder(tmp_path) is None
