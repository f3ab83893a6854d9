"""Processes of one run end together."""

import os
import signal
import threading
import time

from lightning.pytorch import Callback, LightningModule, Trainer

from scconv_lab.errors import UserError

FIRST = "SCCONV_LAB_FIRST_PROCESS"
"""Environment variable that holds the id of a run's first process."""
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_SAY_WHY = 10.0


def watch_parent() -> None:
    """Let a process other than a run's first end within a second of the process that started it.

    Lightning's first process watches those that it starts, and is killed within five seconds of another's failure; but
    they do not watch it, and would wait for it for half an hour. It leaves them its id, for it may be gone before they
    look.
    """
    if os.environ.get("LOCAL_RANK", "0") == "0":
        os.environ[FIRST] = str(os.getpid())
    else:
        parent = int(os.environ.get(FIRST, os.getppid()))
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def stay_behind(code: int) -> None:
    """Give the first process of a run that srun has started the time to report why all of them end.

    ``srun --kill-on-bad-exit`` kills the others as soon as one has ended with another exit code than 0.
    """
    if code and os.environ.get("SLURM_PROCID", "0") != "0":
        time.sleep(_SECONDS_TO_SAY_WHY)


def in_a_job_without_srun() -> bool:
    """Whether this is a SLURM job's own shell, or a notebook on its node, where no srun started the processes."""
    return {"SLURM_JOB_ID", "SLURM_NTASKS"} <= os.environ.keys() and "SLURM_STEP_ID" not in os.environ


def require_one_node(nodes: int) -> None:
    """Refuse several nodes where only srun could start the processes of the others."""
    if nodes > 1:
        raise UserError(
            f"`trainer.num_nodes` (={nodes}) needs a process on each node, which only srun starts within a SLURM job: "
            "put `srun` before the command"
        )


class EndTogether(Callback):
    """Ends the processes that a failing one has started, before it says why: it would be killed for theirs."""

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """End the processes that this one started."""
        started = getattr(trainer.strategy.launcher, "procs", [])
        for process in started:
            process.kill()
        for process in started:
            process.wait()
        started.clear()  # Lightning's observer would kill this process for theirs


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGKILL)
