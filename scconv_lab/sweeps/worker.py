"""One run in a process of its own, forked from one that has done the imports."""

import multiprocessing
import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from scconv_lab.errors import UserError
from scconv_lab.sweeps.script import PACKAGE, own_command

PRELOADED = (
    "scconv_lab.fit.command",
    "scconv_lab.cli",
    "sklearn.datasets",
    "sklearn.model_selection",
    "torch._dynamo",
    "wandb.sdk.launch",
)
"""The fit itself, and what its data, optimizer and record import when they are first used."""


def warm_up() -> None:
    """Start the process that all are forked from; it imports while the caller continues.

    Raises:
        UserError: The operating system cannot fork a process, or end a group of them.
    """
    _context().set_forkserver_preload(list(PRELOADED))
    multiprocessing.forkserver.ensure_running()


def start(arguments: Sequence[str], *, log: Path, environment: Mapping[str, str], threads: int | None) -> BaseProcess:
    """Run ``scconv-lab`` as a process group of its own that ends with this process, and write what it prints to a log.

    Args:
        arguments: Those after ``scconv-lab``.
        log: A file that is appended to.
        environment: Variables in addition to this process's.
        threads: CPU threads, where the run's configuration names none; None is torch's choice.
    """
    process = _context().Process(target=_work, args=(own_command(), list(arguments), log, dict(environment), threads))
    process.start()
    return process


def end(process: BaseProcess) -> None:
    """Ask a run to end; it leaves a checkpoint."""
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGTERM)


def kill(process: BaseProcess) -> None:
    """Kill a run and all that it has started; what is gone already is no error."""
    if process.pid is not None:
        process.kill()  # which may have no group of its own yet
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _context() -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        raise UserError(
            "a sweep's runs are forked, which this operating system cannot; use Linux or macOS, or WSL on Windows"
        )
    return multiprocessing.get_context("forkserver")


def _work(
    command: list[str], arguments: list[str], log: Path, environment: dict[str, str], threads: int | None
) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    os.environ.update(environment)
    # from which, and from how `__main__` was found, Lightning starts the other processes of a run
    sys.argv = [command[0], *arguments]
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    try:
        if len(command) == 1:
            runpy.run_path(command[0], run_name="__main__")
        else:
            runpy.run_module(PACKAGE, run_name="__main__", alter_sys=True)
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _end_with_launcher() -> None:
    launcher = multiprocessing.parent_process()
    assert launcher is not None
    wait([launcher.sentinel])
    os.killpg(os.getpid(), signal.SIGKILL)
