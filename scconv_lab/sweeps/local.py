"""Runs a sweep on this machine: as many runs at a time as there is room for, each apart from the others."""

import os
import shlex
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any

from scconv_lab.errors import BUSY, UserError
from scconv_lab.grid.file import EarlyStop
from scconv_lab.run_folder.attempts import ENDED_IN_ORDER, was_killed
from scconv_lab.run_folder.configuration import processes_of
from scconv_lab.run_folder.state import damage, state_of
from scconv_lab.sweeps import ledger, worker
from scconv_lab.sweeps.early_stop import why_hopeless
from scconv_lab.sweeps.resolve import Run
from scconv_lab.sweeps.show import Board, why_ended
from scconv_lab.sweeps.slots import Place, Slots, cores

_LOOK_S = 0.2
_LOOK_ELSEWHERE_S = 2.0
_LOOK_AT_LOGS_S = 1.0


@dataclass
class Job:
    """A run that is under way here; ``stopped`` is why it is being stopped early."""

    run: Run
    process: BaseProcess
    slots: Slots
    place: Place
    began: float = field(default_factory=time.monotonic)
    stopped: str | None = None

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self.began


class Local:
    """Launches runs on this machine until each is done, has failed twice, or the user ends it.

    Args:
        runs: All runs of the sweep that were chosen; those that are done are passed over.
        gpus: Names of the GPUs to use; without any, and for runs whose accelerator is the CPU, there are workers.
        workers: How many processes may compute on the CPU at a time, with its cores shared out among them.
        board: Shows it.
        early_stop: Which runs are stopped early.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        *,
        gpus: Sequence[str],
        workers: int,
        board: Board,
        early_stop: EarlyStop | None = None,
    ) -> None:
        self.runs = runs
        self.gpus = Slots(gpus)
        self.workers = Slots([str(number) for number in range(workers)])
        self.threads = max(1, cores() // workers)
        self.board = board
        self.early_stop = early_stop
        self.signum = 0
        """The signal that asked the sweep to end; 0 if none did."""
        self._waiting: deque[Run] = deque()
        self._elsewhere: list[Run] = []
        self._jobs: list[Job] = []
        self._asked = 0
        self._next_look = {"elsewhere": 0.0, "logs": 0.0}

    def launch(self) -> None:
        """Run them all.

        Raises:
            UserError: (a ValueError) if a run needs more GPUs than there are, before anything is launched.
        """
        damaged: list[Run] = []
        for run in self.runs:
            if state_of(run.files) == "failed" and was_killed(run.files):
                ledger.forgive(run)
            state = state_of(run.files)
            if state == "running":
                self._elsewhere.append(run)
            elif state == "damaged":
                damaged.append(run)
            elif state in ("new", "interrupted"):
                self._require_room(run)
                self._waiting.append(run)
        self._waiting = deque(sorted(self._waiting, key=lambda run: -self._needs(run)[1]))
        for run in damaged:
            self.board.tell(run, "damaged", damage(run.files))
        for run in self._elsewhere:
            self.board.tell(run, "runs elsewhere", "its lock is held by another launcher; waiting for its end")
        with self._signals():
            try:
                while self._jobs or (not self._asked and (self._waiting or self._elsewhere)):
                    self._step()
                    time.sleep(_LOOK_S)
            finally:
                for job in self._jobs:
                    worker.kill(job.process)

    def _step(self) -> None:
        for job in [job for job in self._jobs if not job.process.is_alive()]:
            self._jobs.remove(job)
            self._end(job)
            self._next_look["logs"] = 0.0
        if self._due("elsewhere", _LOOK_ELSEWHERE_S):
            self._look_elsewhere()
        while self._waiting and not self._asked and self._start(self._waiting[0]):
            self._waiting.popleft()
        if self._due("logs", _LOOK_AT_LOGS_S):
            self._stop_early()
            self.board.update([(job.run, job.seconds) for job in self._jobs], len(self._waiting))

    def _due(self, what: str, every: float) -> bool:
        now = time.monotonic()
        if now < self._next_look[what]:
            return False
        self._next_look[what] = now + every
        return True

    def _needs(self, run: Run) -> tuple[Slots, int]:
        """Of what a run takes how many."""
        trainer = ledger.layout(run)
        count = processes_of(trainer)
        on_gpu = trainer.get("accelerator") in ("gpu", "cuda") or (
            trainer.get("accelerator") == "auto" and len(self.gpus)
        )
        if on_gpu:
            return self.gpus, count or max(1, len(self.gpus))
        return self.workers, min(count or 1, len(self.workers))

    def _require_room(self, run: Run) -> None:
        slots, count = self._needs(run)
        if count > len(slots):
            raise UserError(
                f"arm {run.arm.name!r} needs {count} GPU{'s' * (count > 1)} (`trainer.devices`), and this machine has "
                f"{len(slots)}; give --config configs/hardware/cpu.yaml, or --launcher slurm"
            )

    def _start(self, run: Run) -> bool:
        state = state_of(run.files)
        if state == "done":  # by another launcher, meanwhile
            return True
        if state == "running":
            self._elsewhere.append(run)
            return True
        slots, count = self._needs(run)
        place = slots.take(count, runs_each=run.arm.resources.runs_per_gpu if slots is self.gpus else 1)
        if place is None:
            return False
        log = run.files.log
        try:
            file = ledger.prepare(run)
            arguments = ["fit", "--config", os.path.relpath(file)]
            with log.open("a", encoding="utf-8") as text:
                text.write(f"\n$ scconv-lab {shlex.join(arguments)}\n# by hand: scconv-lab {shlex.join(run.by_hand)}\n")
        except OSError as error:
            slots.give_back(place)
            self._give_up(run, error)
            return True
        if slots is self.gpus:
            environment, threads = {"CUDA_VISIBLE_DEVICES": ",".join(place.devices)}, None
        else:
            environment, threads = {"OMP_NUM_THREADS": str(self.threads)}, self.threads
        process = worker.start(arguments, log=log, environment=environment, threads=threads)
        self._jobs.append(Job(run, process, slots, place))
        self.board.tell(run, "resumes" if state == "interrupted" else "starts")
        return True

    def _end(self, job: Job) -> None:
        worker.kill(job.process)  # what it may have left running
        run, code = job.run, job.process.exitcode
        job.slots.give_back(job.place)
        if code == BUSY:
            self._elsewhere.append(run)
            return
        attempt: dict[str, Any] = {"code": code, "seconds": round(job.seconds, 1), "launcher": "local"}
        if job.stopped and not ledger.results(run):
            attempt |= {"stopped": job.stopped}
        try:
            ledger.note(run, **attempt)
        except OSError as error:
            self._give_up(run, error)
            return
        state = state_of(run.files)
        if state == "done":
            self.board.done(run, job.seconds)
        elif state == "stopped":
            self.board.tell(run, "stopped", job.stopped or "")
        elif state == "damaged":
            self.board.tell(run, "damaged", damage(run.files))
        elif state == "failed":
            self.board.tell(run, "failed", why_ended(code))
        elif code in ENDED_IN_ORDER:
            self.board.tell(run, "interrupted", why_ended(code))
            if not self._asked:
                self._waiting.append(run)  # somebody ended only this one
        else:
            self.board.tell(run, "fails", f"{why_ended(code)}; it is tried once more")
            self._waiting.append(run)

    def _give_up(self, run: Run, error: OSError) -> None:
        """Leave a run whose folder cannot be written to; the others go their way."""
        self.board.tell(run, "left", f"{error.filename or run.folder} cannot be written ({error.strerror})")

    def _look_elsewhere(self) -> None:
        for run in list(self._elsewhere):
            state = state_of(run.files)
            if state == "running":
                continue
            self._elsewhere.remove(run)
            if state in ("new", "interrupted"):
                self._waiting.append(run)
            else:
                self.board.tell(run, state, "elsewhere")

    def _stop_early(self) -> None:
        if self.early_stop is None:
            return
        for job in self._jobs:
            why = None if job.stopped else why_hopeless(job.run, self.runs, self.early_stop)
            if why:
                job.stopped = why
                worker.end(job.process)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {signum: signal.signal(signum, self._ask) for signum in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    def _ask(self, signum: int, frame: Any) -> None:
        """End in order at the first signal, and at once at the second."""
        self.signum = signum
        self._asked += 1
        for job in self._jobs:
            (worker.end if self._asked == 1 else worker.kill)(job.process)
        if self._asked == 1 and self._jobs:
            self.board.say("ending: each run leaves a checkpoint of its step; once more kills them")
