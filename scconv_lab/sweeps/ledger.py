"""What has become of each run, told from its folder alone, so that every launcher on every machine sees the same."""

import json
import re
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from scconv_lab.config import read_yaml
from scconv_lab.errors import BUSY, DONE, ENDED_BY_REQUEST
from scconv_lab.run_folder import lock, resume
from scconv_lab.run_folder.file_lock import wait_for_lock
from scconv_lab.run_folder.files import write_whole
from scconv_lab.run_folder.provenance import provenance
from scconv_lab.sweeps.resolve import Run, launched

State = Literal["done", "running", "queued", "failed", "stopped", "interrupted", "new"]
MOST_FAILURES = 2
"""A run that failed is tried once more."""
ENDED_IN_ORDER = (DONE, BUSY, *ENDED_BY_REQUEST)
"""Exit codes of a fit that failed at nothing: done, busy elsewhere, or asked to end."""
_ATTEMPTS, _RUN_FILE, LOG = "attempts.jsonl", "run.yaml", "log.txt"
_EPOCH = re.compile(r"^epoch (\d+)/(\d+) .*? val/acc1 ([\d.]+) .*? ([\d.]+) s$", re.MULTILINE)


@dataclass(frozen=True)
class Progress:
    """How far a run has come, by the lines of its log: epochs done and wanted, their seconds, and val/acc1 of each."""

    epochs: int
    seconds: tuple[float, ...]
    accuracies: dict[int, float]

    @property
    def epoch(self) -> int:
        """The last epoch that is done."""
        return max(self.accuracies, default=0)

    @property
    def seconds_left(self) -> float | None:
        """Of training, if the epochs to come take as long as those of the last process have."""
        if not self.seconds:
            return None
        return (self.epochs - self.epoch) * sum(self.seconds) / len(self.seconds)


def state(run: Run) -> State:
    """What a run's folder says of it; that a job is queued is for SLURM to say."""
    if resume.finished(run.folder):
        return "done"
    if lock.holder(run.folder):
        return "running"
    if stopped_early(run):
        return "stopped"
    if failures(run) >= MOST_FAILURES:
        return "failed"
    return "interrupted" if (run.folder / "config.yaml").exists() else "new"


def prepare(run: Run) -> Path:
    """Write the file that the run is launched from; one that has begun keeps its own, and with it its layout."""
    file = run_file(run)
    with _writing(run.root):
        run.folder.mkdir(exist_ok=True)
        if not (file.exists() and (run.folder / "config.yaml").exists()):
            write_whole(file, yaml.safe_dump(launched(run), sort_keys=False))
    return file


def run_file(run: Run) -> Path:
    """Where `prepare` writes; ``scconv-lab fit --config`` this file runs, or goes on with, the run."""
    return run.folder / _RUN_FILE


def note(run: Run, **attempt: Any) -> None:
    """Note how an attempt at a run ended: ``code``, ``seconds``, and what else is known."""
    with _writing(run.root), (run.folder / _ATTEMPTS).open("a+", encoding="utf-8") as file:
        file.seek(0)
        cut_short = file.read().rpartition("\n")[2]  # what a kill or a full disk left of a line
        file.write(f"{cut_short and chr(10)}{json.dumps(attempt)}\n")


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
    finished = resume.finished(run.folder)
    return finished.results if finished else {}


def by_other_code(run: Run) -> bool:
    """Whether a finished run was made by another commit, or with other versions, than what is here now."""
    here = provenance()
    return any(results(run).get(key) != here[key] for key in ("git_commit", "lock_hash"))


def progress(run: Run) -> Progress:
    """How far a run has come; an epoch that was done twice counts as it was last."""
    text = _text(run)
    epochs = {int(epoch): (int(of), float(accuracy)) for epoch, of, accuracy, _ in _EPOCH.findall(text)}
    latest = text[text.rfind("\n$ ") + 1 :]
    return Progress(
        epochs=next((of for of, _ in epochs.values()), 0),
        seconds=tuple(float(seconds) for *_, seconds in _EPOCH.findall(latest)),
        accuracies={epoch: accuracy for epoch, (_, accuracy) in epochs.items()},
    )


def last_lines(run: Run, count: int) -> list[str]:
    """The end of a run's log."""
    return list(deque((line for line in _text(run).splitlines() if line.strip()), maxlen=count))


def layout(run: Run) -> dict[str, Any]:
    """The trainer's settings of a run's file, or of the run where it has none yet."""
    file = run_file(run)
    return (read_yaml(file) if file.exists() else run.config)["trainer"]


def _noted(run: Run) -> list[dict[str, Any]]:
    file = run.folder / _ATTEMPTS
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}")]  # but for what a kill cut short


def _text(run: Run) -> str:
    file = run.folder / LOG
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """Keep other launchers waiting for the moment that a file takes to be written."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("a", encoding="utf-8") as file:
        wait_for_lock(file)
        yield
