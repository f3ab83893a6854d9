"""The command in processes that are forked from one with all imports done, and that may be made to die."""

import multiprocessing
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from scconv_lab.sweeps.worker import PRELOADED

Death = tuple[str, int]
"""(a callback's hook, or "fsync" or "replace" of a checkpoint being written; how often it was called before)."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(PRELOADED))


def start(
    arguments: Sequence[str],
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    death: Death | None = None,
    processes: int = 1,
    dying: int = 0,
) -> list[BaseProcess]:
    """Start the command in `folder`, as one process or as several that share the run; `dying` is which one dies.

    What they print is added to `folder`/output-RANK.txt and errors-RANK.txt.
    """
    if processes == 1:
        shared: dict[str, str] = {}
    else:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo", "NODE_RANK": "0"}
        shared["WORLD_SIZE"] = str(processes)
    started = []
    for rank in range(processes):
        own = shared | ({"LOCAL_RANK": str(rank)} if processes > 1 else {}) | dict(environment or {})
        given = (list(arguments), folder, rank, own, death if rank == dying else None)
        started.append(_context.Process(target=_run, args=given))
    for process in started:
        process.start()
    return started


def wait(processes: Sequence[BaseProcess], *, timeout: float) -> list[int | None]:
    """Exit codes, negative for a signal; what has not ended in time is killed, and has None."""
    codes = []
    for process in processes:
        process.join(timeout)
        codes.append(process.exitcode)
        process.kill()
        process.join()
    return codes


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def left_over(here: Path) -> list[str]:
    """Processes that work in a folder, but those that are about to be gone."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(here) and alive(int(process.name)):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def _run(arguments: list[str], folder: Path, rank: int, environment: dict[str, str], death: Death | None) -> None:
    os.chdir(folder)
    for descriptor, name in ((1, "output"), (2, "errors")):
        os.dup2(os.open(folder / f"{name}-{rank}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    from lightning.pytorch.utilities import rank_zero_only

    from scconv_lab.cli import main
    from scconv_lab.training.process_group import FIRST

    os.environ.pop(FIRST, None)  # of a run that a test made in the process that this one comes from
    os.environ.update(environment)
    rank_zero_only.rank = rank  # Lightning asks the environment when it is imported, which was before the fork
    if death is not None:
        _arm(*death)
    try:
        sys.exit(main(arguments))
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def _arm(place: str, calls: int) -> None:
    """Let this process kill itself when `place` is reached for the last of `calls` + 1 times."""
    left = [calls]

    def reached() -> None:
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    def before(call: Callable[..., Any]) -> Callable[..., Any]:
        def reach(*arguments: Any, **named: Any) -> Any:
            reached()
            return call(*arguments, **named)

        return reach

    if place in ("fsync", "replace"):
        setattr(os, place, before(getattr(os, place)))
        return
    from lightning.pytorch.trainer import call

    hooks = call._call_callback_hooks

    def counted(trainer: Any, name: str, *arguments: Any, **named: Any) -> Any:
        if name == place:
            reached()
        return hooks(trainer, name, *arguments, **named)

    call._call_callback_hooks = counted
