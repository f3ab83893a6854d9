"""The attempts of a sweep at a run. ``python -m scconv_lab.run_folder.attempts FOLDER`` prints how many failed."""

import signal
import sys
from pathlib import Path
from typing import Any

from scconv_lab.errors import BUSY, ENDED_BY_REQUEST
from scconv_lab.run_folder.files import read_lines
from scconv_lab.run_folder.layout import RunFolder

MOST_FAILURES = 2
"""A run that failed is tried once more."""
ENDED_IN_ORDER = (BUSY, *ENDED_BY_REQUEST)
"""Exit codes of an unfinished fit that failed at nothing: busy elsewhere, or asked to end."""


def attempts(files: RunFolder) -> list[dict[str, Any]]:
    """The attempts at a run since it was last forgiven."""
    noted = _noted(files)
    last = max((index for index, attempt in enumerate(noted) if attempt.get("forgiven")), default=-1)
    return noted[last + 1 :]


def failures(files: RunFolder) -> int:
    """How often a run has failed since it was last forgiven."""
    return sum(attempt.get("code") not in ENDED_IN_ORDER for attempt in attempts(files) if "stopped" not in attempt)


def was_killed(files: RunFolder) -> bool:
    """Whether a run failed only by SIGKILL, which may say more of the machine than of the run."""
    return all(attempt.get("code") in (*ENDED_IN_ORDER, -signal.SIGKILL) for attempt in attempts(files))


def stopped_early(files: RunFolder) -> str | None:
    """Why a run was stopped early, if it was."""
    return next((attempt["stopped"] for attempt in attempts(files) if "stopped" in attempt), None)


def seconds_spent(files: RunFolder) -> float | None:
    """What all attempts at a run took; None if that is not known."""
    return sum(attempt.get("seconds", 0.0) for attempt in _noted(files)) or None


def _noted(files: RunFolder) -> list[dict[str, Any]]:
    return [entry for entry in read_lines(files.attempts) if _is_attempt(entry)]


def _is_attempt(entry: dict[str, Any]) -> bool:
    """Whether an entry has what `attempts` reads, of the right kinds."""
    return isinstance(entry.get("code", 0), int | None) and isinstance(entry.get("seconds", 0.0), int | float)


if __name__ == "__main__":
    print(failures(RunFolder(Path(sys.argv[1]))))
