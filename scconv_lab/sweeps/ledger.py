"""What has become of each run, read only from its folder, so that every launcher on every machine sees the same."""

import json
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from scconv_lab.config import read_yaml, yaml_text
from scconv_lab.errors import BUSY, ENDED_BY_REQUEST, UserError
from scconv_lab.run_folder import lock, resume
from scconv_lab.run_folder.configuration import other_defaults
from scconv_lab.run_folder.files import append_line, read_lines, write_whole
from scconv_lab.run_folder.provenance import provenance
from scconv_lab.run_folder.source_code import changed_sources, source_hashes
from scconv_lab.sweeps.resolve import Run, launched

State = Literal["done", "running", "queued", "failed", "stopped", "interrupted", "damaged", "new"]
MOST_FAILURES = 2
"""A run that failed is tried once more."""
ENDED_IN_ORDER = (BUSY, *ENDED_BY_REQUEST)
"""Exit codes of an unfinished fit that failed at nothing: busy elsewhere, or asked to end."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come: the last epoch that is done and how many there are, the same in steps, and val/acc1.

    Args:
        epoch: The last epoch that is done; 0 if none is.
        epochs: How many are wanted; None where only steps end the run.
        step: Steps that are done.
        steps: How many are wanted; None where only epochs end the run.
        seconds: Of each epoch.
        accuracies: val/acc1 of each epoch that had a validation.
    """

    epoch: int = 0
    epochs: int | None = None
    step: int = 0
    steps: int | None = None
    seconds: tuple[float, ...] = ()
    accuracies: dict[int, float] = field(default_factory=dict)

    @property
    def seconds_left(self) -> float | None:
        """Of training, if the rest takes as long as what was done has; the sooner of epochs and steps ends it."""
        if not self.seconds:
            return None
        shares = [self.epoch / self.epochs] if self.epochs else []
        shares += [self.step / self.steps] if self.steps else []
        return sum(self.seconds) * (1 / max(shares) - 1) if shares and max(shares) > 0 else None

    def __str__(self) -> str:
        if self.epoch == 0:
            return ""
        if self.steps and not self.epochs:
            return f"step {self.step}/{self.steps}"
        return f"{self.epoch}/{self.epochs}" if self.epochs else f"{self.epoch}"


def state(run: Run) -> State:
    """What a run's folder says of it; that a job is queued is for SLURM to say."""
    if damage(run):
        return "damaged"
    if resume.finished(run.folder):
        return "done"
    if lock.holder(run.folder):
        return "running"
    if stopped_early(run):
        return "stopped"
    if failures(run) >= MOST_FAILURES:
        return "failed"
    return "interrupted" if run.files.begun else "new"


def damage(run: Run) -> str:
    """Say which file of a run cannot be read, and what to do; empty if all can."""
    try:
        resume.finished(run.folder)
        lock.holder(run.folder)
        for file in (run.files.config, run.files.launched):
            if file.exists():
                read_yaml(file, source="the run's folder")
    except (UserError, OSError) as error:
        return str(error)
    return ""


def note_members(name: str, runs: Sequence[Run]) -> Path:
    """Write which runs a sweep has, by arm and seed; a run that two sweeps share is in both of their files.

    Args:
        name: The sweep's name.
        runs: All of its runs.
    """
    members = [{"run": run.id, "arm": run.arm.name, "seed": run.seed} for run in runs]
    file = runs[0].root / f"{name}.json"
    text = f"{json.dumps({'sweep': name, 'runs': members}, indent=1)}\n"
    with lock.writing(runs[0].root):
        if not file.is_file() or file.read_text(encoding="utf-8", errors="replace") != text:
            write_whole(file, text)
    return file


def prepare(run: Run) -> Path:
    """Write the file that the run is launched from; one that has begun keeps its own, and with it its layout."""
    file = run_file(run)
    with lock.writing(run.root):
        run.folder.mkdir(exist_ok=True)
        if not (file.exists() and run.files.begun):
            write_whole(file, yaml_text.dump(launched(run)))
    return file


def run_file(run: Run) -> Path:
    """Where `prepare` writes; ``scconv-lab fit --config`` this file starts or resumes the run."""
    return run.files.launched


def note(run: Run, **attempt: Any) -> None:
    """Note how an attempt at a run ended: ``code``, ``seconds``, and what else is known."""
    with lock.writing(run.root):
        run.folder.mkdir(exist_ok=True)  # somebody may have removed it
        append_line(run.files.attempts, attempt)


def set_aside(run: Run) -> None:
    """Move what a run left out of the way, so that it is run again."""
    with lock.writing(run.root):
        run.files.set_aside()


def forgive(run: Run) -> None:
    """Let a failed run, or one that was stopped early, be tried again."""
    note(run, forgiven=True)


def attempts(run: Run) -> list[dict[str, Any]]:
    """The attempts at a run since it was last forgiven."""
    noted = _noted(run)
    last = max((index for index, attempt in enumerate(noted) if attempt.get("forgiven")), default=-1)
    return noted[last + 1 :]


def failures(run: Run) -> int:
    """How often a run has failed."""
    return sum(attempt.get("code") not in ENDED_IN_ORDER for attempt in attempts(run) if "stopped" not in attempt)


def was_killed(run: Run) -> bool:
    """Whether a run failed by nothing but SIGKILL, which may say more of the machine than of the run."""
    return all(attempt.get("code") in (*ENDED_IN_ORDER, -signal.SIGKILL) for attempt in attempts(run))


def stopped_early(run: Run) -> str | None:
    """Why a run was stopped early, if it was."""
    return next((attempt["stopped"] for attempt in attempts(run) if "stopped" in attempt), None)


def seconds(run: Run) -> float | None:
    """What a finished run took, over all attempts; None if that is not known."""
    return sum(attempt.get("seconds", 0.0) for attempt in _noted(run)) or None


def results(run: Run) -> dict[str, Any]:
    """What a finished run reached; empty for another."""
    try:
        finished = resume.finished(run.folder)
    except UserError:
        return {}
    return finished.results if finished else {}


def made_otherwise(run: Run) -> str:
    """Say in which way a finished run was made by other code than is here now; empty where it was not.

    By other sources of what a result depends on, by other versions of the libraries, or under other defaults. A run of
    an earlier version of the lab recorded its commit and no hash of sources; it is compared by that.
    """
    reached, here = results(run), provenance()
    if not reached:
        return ""
    ways = []
    code = reached.get("code")
    if not isinstance(code, dict):
        ways += ["other code: another commit"] * (reached.get("git_commit") != here["git_commit"])
    elif changed := changed_sources(code, source_hashes(run.config)):
        ways.append(f"other code: {', '.join(changed)}")
    ways += ["other versions: uv.lock"] * (reached.get("lock_hash") != here["lock_hash"])
    if run.files.begun:
        made_under = read_yaml(run.files.config, source="the run's folder")
        ways += [f"other defaults: {text}" for text in other_defaults(made_under, run.config)]
    return "; ".join(ways)


def progress(run: Run) -> Progress:
    """How far a run has come; an epoch that was done twice counts as it was last."""
    lines = {line["epoch"]: line for line in read_lines(run.files.progress) if _is_progress(line)}
    if not lines:
        return Progress()
    last = lines[max(lines)]
    return Progress(
        last["epoch"],
        last["epochs"],
        last["step"],
        last["steps"],
        tuple(line["seconds"] for line in lines.values()),
        {epoch: line["val/acc1"] for epoch, line in lines.items() if line["val/acc1"] is not None},
    )


def last_lines(run: Run, count: int) -> list[str]:
    """The end of a run's log."""
    return list(deque((line for line in _text(run).splitlines() if line.strip()), maxlen=count))


def layout(run: Run) -> dict[str, Any]:
    """The trainer's settings of a run's file, or of the run where it has none yet."""
    file = run_file(run)
    return (read_yaml(file) if file.exists() else run.config)["trainer"]


def _noted(run: Run) -> list[dict[str, Any]]:
    return [entry for entry in read_lines(run.files.attempts) if _is_attempt(entry)]


def _is_progress(line: dict[str, Any]) -> bool:
    """Whether a line has what `progress` reads, of the right kinds."""
    whole, number = int, int | float
    kinds = {"epoch": whole, "epochs": whole | None, "step": whole, "steps": whole | None, "seconds": number}
    return all(isinstance(line.get(key, ""), kind) for key, kind in (kinds | {"val/acc1": number | None}).items())


def _is_attempt(entry: dict[str, Any]) -> bool:
    """Whether an entry has what `attempts` reads, of the right kinds."""
    return isinstance(entry.get("code", 0), int | None) and isinstance(entry.get("seconds", 0.0), int | float)


def _text(run: Run) -> str:
    file = run.files.log
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
