"""Hands a sweep to SLURM: an array job for each number of GPUs and time limit, a task of it for each run."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from scconv_lab.errors import UserError
from scconv_lab.run_folder.attempts import ENDED_IN_ORDER, MOST_FAILURES
from scconv_lab.run_folder.files import write_whole
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.sweeps import ledger
from scconv_lab.sweeps.resolve import Run
from scconv_lab.sweeps.script import own_command

FOLDER = "slurm"
"""Folder of scripts, lists of runs and what the scripts print, next to the folders of the runs."""
MOST_RESTARTS = 50
"""A job is not started again more often than this: one that never comes to a checkpoint would be for ever."""
_WARNING_S, _TO_END_S = 120, 90
"""A run has this long to end before its job does, and of that so long to write a checkpoint."""
_OWN = (
    *("array", "chdir", "error", "gpus", "gpus-per-node", "gpus-per-socket", "gpus-per-task", "input", "job-name"),
    *("no-requeue", "ntasks", "ntasks-per-core", "ntasks-per-gpu", "ntasks-per-node", "ntasks-per-socket"),
    *("open-mode", "output", "parsable", "requeue", "signal", "test-only", "wait", "wrap"),
)
_CLOCKS = ("begin", "deadline", "time", "time-min")
_FILES = ("launched", "results", "log", "attempts")
"""Files of a run's folder that the script reads and writes."""
_TASK = Path(__file__).with_name("task.sh")


@dataclass(frozen=True)
class Options:
    """Options of sbatch.

    Args:
        every: For every job, by their long names; True is a flag.
        time: The time limit of runs whose resources name no minutes.
    """

    every: Mapping[str, str | bool]
    time: str | None = None


@dataclass(frozen=True)
class ArrayJob:
    """A script for sbatch, and the runs that it is for, in the order of its tasks.

    Args:
        script: Where the script goes.
        head: What it asks of SLURM, and its variables.
        text: All that it says.
        runs: The runs.
    """

    script: Path
    head: str
    text: str
    runs: tuple[Run, ...]

    @property
    def list_file(self) -> Path:
        """Where the script finds the runs, one a line: folder, tab, what a person would type for it."""
        return _list_file(self.script)


def options(slurm: Mapping[str, Any], given: Sequence[str] = ()) -> Options:
    """Read the options of sbatch from a sweep's file and from the command line, which wins.

    Args:
        slurm: The file's ``slurm``: long options of sbatch to values, true for a flag.
        given: Words such as "account=x" and "exclusive=true". A time limit here is every run's; one of the file gives
            way to ``resources.minutes``.

    Raises:
        UserError: (a ValueError) if a word is no KEY=VALUE, a value is none, or the launcher sets the option itself.
    """
    of_file = {key: _checked(f"slurm.{key}", str(key), value) for key, value in slurm.items()}
    of_words = {}
    for word in given:
        key, equals, value = word.partition("=")
        if not key or not equals or not value:
            raise UserError(f"--slurm {word} must be KEY=VALUE, such as account=x, or exclusive=true for a flag")
        of_words[key] = _checked(f"--slurm {key}", key, {"true": True, "false": False}.get(value, value))
    time = of_file.pop("time", None)
    every = {key: value for key, value in {**of_file, **of_words}.items() if value is not False}
    return Options(every, str(time) if time else None)


def _checked(source: str, key: str, value: Any) -> str | bool:
    if not re.fullmatch("[a-z][a-z-]*[a-z]", key):
        raise UserError(f"`{source}` must be a long option of sbatch, such as account or mail-type")
    if any(own.startswith(key) for own in _OWN):
        raise UserError(
            f"`{source}` (={value!r}) is the launcher's own; leave it out (how many GPUs a run has is `resources.gpus`)"
        )
    if key in _CLOCKS and not isinstance(value, str):
        raise UserError(f"`{source}` (={value!r}) must be quoted, such as '12:00:00', which YAML takes for a number")
    if isinstance(value, bool):
        return value
    if not isinstance(value, str | int | float) or not str(value).isprintable():
        raise UserError(f"`{source}` (={value!r}) must be a text of one line, a number, or true for a flag")
    return str(value)


@dataclass(frozen=True)
class _Needs:
    """What a job asks for; runs that ask for the same share a script."""

    processes: int
    nodes: int
    gpus: bool
    time: str | bool | None


def scripts(runs: Iterable[Run], name: str, options: Options, when: datetime) -> list[ArrayJob]:
    """Write the script of each array job.

    Every run has the GPUs of its job to itself: ``resources.runs_per_gpu`` is ignored. Nor are runs stopped early.

    Args:
        runs: What is to be run.
        name: The sweep's name.
        options: Of sbatch.
        when: Told by the files' names.

    Raises:
        UserError: (a ValueError) if a run does not say how many processes it has, or on other nodes than ``options``,
            or a name has a line break.
    """
    groups: dict[_Needs, list[Run]] = {}
    _require_one_line("the working folder", str(Path.cwd()))
    for run in runs:
        _require_one_line(f"arm {run.arm.name!r}: its command", "".join([str(run.folder), *run.by_hand]))
        groups.setdefault(_needs(run, options), []).append(run)
    jobs = []
    for number, (needs, members) in enumerate(groups.items(), 1):
        script = members[0].root / FOLDER / f"{name}-{when:%Y%m%d-%H%M%S}-{number}.sh"
        head = _head(script, name, needs, len(members), options.every)
        text = f"{head}{_TASK.read_text(encoding='utf-8')}"
        jobs.append(ArrayJob(script, head, text, tuple(members)))
    return jobs


def _require_one_line(what: str, text: str) -> None:
    """Refuse what would shift the lines of a script or of its list of runs."""
    if not text.isprintable():
        raise UserError(
            f"{what} (={text!r}) holds a line break or another control character, which a script of SLURM cannot; "
            "rename the file or folder"
        )


def _needs(run: Run, options: Options) -> _Needs:
    trainer = ledger.layout(run)
    devices, nodes = trainer["devices"], int(trainer["num_nodes"])
    if not str(devices).isdecimal():
        raise UserError(
            f"arm {run.arm.name!r}: `trainer.devices` (={devices!r}) must be a number under SLURM, which is asked for "
            "as many GPUs; give `resources: {gpus: 4}`, or --set trainer.devices=4"
        )
    if str(options.every.get("nodes", nodes)) != str(nodes):
        raise UserError(
            f"arm {run.arm.name!r}: `trainer.num_nodes` (={nodes}) must be the `nodes` (={options.every['nodes']}) of "
            "SLURM; leave `nodes` out, or give --set trainer.num_nodes"
        )
    minutes = run.arm.resources.minutes
    time = options.every.get("time") or (str(minutes) if minutes else options.time)
    return _Needs(int(devices), nodes, trainer["accelerator"] != "cpu", time)


def _head(script: Path, name: str, needs: _Needs, count: int, given: Mapping[str, str | bool]) -> str:
    stem = str(script.absolute().with_suffix("")).replace("%", "%%")
    own = {
        "job-name": name,
        "array": f"0-{count - 1}",
        "chdir": str(Path.cwd()),
        "output": f"{stem}.%A_%a.txt",
        "open-mode": "append",
        "requeue": True,
        "signal": f"B:USR1@{_WARNING_S}",
        "nodes": str(needs.nodes),
        "ntasks-per-node": str(needs.processes),
        "gres": f"gpu:{needs.processes}" if needs.gpus else None,
        "time": needs.time,
    }
    variables = {
        "list": _list_file(script.absolute()),
        "python": sys.executable,
        "in_order": "|".join(map(str, ENDED_IN_ORDER)),
        "most_failures": MOST_FAILURES,
        **{name: getattr(RunFolder(Path()), name).name for name in _FILES},
        "most_restarts": MOST_RESTARTS,
        "seconds_to_end": _TO_END_S,
    }
    lines = [
        "#!/usr/bin/env bash",
        *(_directive(key, value) for key, value in {**own, **given}.items() if value is not None),
        f"scconv_lab=({shlex.join(own_command())})",
        *(f"{key}={shlex.quote(str(value))}" for key, value in variables.items()),
    ]
    return "".join(f"{line}\n" for line in lines)


def _directive(key: str, value: str | bool) -> str:
    return f"#SBATCH --{key}" if value is True else f"#SBATCH --{key}={shlex.quote(str(value))}"


def submit(jobs: Iterable[ArrayJob]) -> list[str]:
    """Write the files that the jobs need, and queue them.

    Returns:
        The id of each job.

    Raises:
        UserError: (a ValueError) if there is no sbatch, or it refuses, with its words.
    """
    if not shutil.which("sbatch"):
        raise UserError(
            "--launcher slurm needs `sbatch`, which is not on this machine; go to where jobs are submitted, "
            "or look at the scripts with --dry-run"
        )
    ids: list[str] = []
    for job in jobs:
        for run in job.runs:
            ledger.prepare(run)
        job.script.parent.mkdir(exist_ok=True)
        write_whole(job.list_file, "".join(f"{run.folder}\t{shlex.join(run.by_hand)}\n" for run in job.runs))
        write_whole(job.script, job.text)
        answer = subprocess.run(["sbatch", "--parsable", str(job.script)], capture_output=True, text=True)
        said = "; ".join(re.sub(r"^sbatch: (error: )?", "", line) for line in answer.stderr.splitlines())
        if answer.returncode:
            queued = f"; queued before it: {', '.join(ids)} (`scancel` takes them back)" if ids else ""
            raise UserError(f"sbatch does not take {job.script}: {said}{queued}")
        if said:
            print(f"sbatch   {said}")
        ids.append(answer.stdout.split()[-1].partition(";")[0])
    return ids


def queued(root: Path, name: str) -> dict[str, str]:
    """What SLURM has of a sweep's runs.

    Args:
        root: Folder of the folders of all runs.
        name: The sweep's name.

    Returns:
        By the id of a run such as "pending (Priority), job 12_3"; empty if none was ever submitted from here, or where
        there is no squeue.
    """
    folder = (root / FOLDER).absolute()
    if not any(folder.glob(f"{name}-*.sh")) or not shutil.which("squeue"):
        return {}
    form = "%F|%K|%T|%r|%o"
    command = ["squeue", "--noheader", "--array", f"--name={name}", f"--format={form}"]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        print(f"squeue   {' '.join(answer.stderr.split())}", file=sys.stderr)
    found = {}
    for line in answer.stdout.splitlines():
        job, task, state, reason, script = line.split("|", maxsplit=form.count("|"))
        if Path(script).parent == folder and task.isdecimal():
            runs = _list_file(Path(script)).read_text(encoding="utf-8").splitlines()
            run_folder = Path(runs[int(task)].partition("\t")[0])
            because = f" ({reason})" if reason != "None" else ""
            found[run_folder.name] = f"{state.lower()}{because}, job {job}_{task}"
    return found


def _list_file(script: Path) -> Path:
    return script.with_suffix(".runs")
