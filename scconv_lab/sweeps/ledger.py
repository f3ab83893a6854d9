"""What a sweep writes and reads in the folders of its runs."""

from collections import deque
from pathlib import Path
from typing import Any

from scconv_lab.config import read_yaml, yaml_text
from scconv_lab.errors import UserError
from scconv_lab.run_folder import lock
from scconv_lab.run_folder.configuration import other_defaults
from scconv_lab.run_folder.files import append_line, write_whole
from scconv_lab.run_folder.provenance import provenance
from scconv_lab.run_folder.results import finished
from scconv_lab.run_folder.source_code import changed_sources, source_hashes
from scconv_lab.sweeps.resolve import Run, launched


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


def results(run: Run) -> dict[str, Any]:
    """What a finished run reached; empty for another."""
    try:
        found = finished(run.folder)
    except UserError:
        return {}
    return found.results if found else {}


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


def last_lines(run: Run, count: int) -> list[str]:
    """The end of a run's log."""
    return list(deque((line for line in _text(run).splitlines() if line.strip()), maxlen=count))


def layout(run: Run) -> dict[str, Any]:
    """The trainer's settings of a run's file, or of the run where it has none yet."""
    file = run_file(run)
    return (read_yaml(file) if file.exists() else run.config)["trainer"]


def _text(run: Run) -> str:
    file = run.files.log
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
