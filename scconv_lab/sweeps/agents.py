"""Hands a sweep's runs to agents of W&B: ``wandb agent``, on any machine that has the runs' files."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from scconv_lab.errors import UserError
from scconv_lab.run_folder.files import write_whole
from scconv_lab.run_folder.state import state_of
from scconv_lab.shipped import typed
from scconv_lab.sweeps import ledger
from scconv_lab.sweeps.resolve import Run
from scconv_lab.sweeps.script import PACKAGE, own_command

_FOLDER = "wandb"
_LEFT = ("new", "interrupted", "running")
_PROJECT = "scconv_lab"


def define(runs: Sequence[Run], name: str) -> Path:
    """Write the file that ``wandb sweep`` makes a sweep of, and those that its runs are launched from.

    Its one parameter is the run's file, so that an agent starts ``scconv-lab fit --config=runs/sweeps/ID/run.yaml``,
    with the lock and the checkpoints of any other fit of it. Asks no server.

    Args:
        runs: Of the sweep; what is done, has failed or was stopped is left out.
        name: The sweep's.

    Returns:
        runs/sweeps/wandb/NAME.yaml, where the runs are in runs/sweeps.

    Raises:
        UserError: (a ValueError) if nothing is left to run.
    """
    left = [run for run in runs if state_of(run.files) in _LEFT]
    if not left:
        raise UserError(f"sweep {name!r} has no run left for agents; --status shows what became of them")
    folder = left[0].root / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    start = ["${program}"] if len(own_command()) == 1 else ["${interpreter}", "-m", PACKAGE]
    definition = {
        "name": name,
        "project": _project(left[0]),
        "program": "scconv-lab",
        "command": [*start, "fit", "${args}"],
        "method": "grid",
        "parameters": {"config": {"values": [str(ledger.prepare(run)) for run in left]}},
    }
    file = folder / f"{name}.yaml"
    write_whole(file, yaml.safe_dump(definition, sort_keys=False))
    return file


def commands(file: Path) -> tuple[str, str]:
    """What a person types: once to make the sweep of a file that `define` wrote, and for each agent."""
    project = yaml.safe_load(file.read_text(encoding="utf-8"))["project"]
    return (
        typed(f"wandb sweep --project {shlex.quote(project)} {shlex.quote(str(file))}"),
        typed("wandb agent SWEEP_ID"),
    )


def _project(run: Run) -> str:
    """The W&B project of a run's logger; inside a sweep W&B takes the sweep's instead."""
    loggers: Any = run.config["trainer"].get("logger")
    for logger in loggers if isinstance(loggers, list) else [loggers]:
        if isinstance(logger, dict) and (project := (logger.get("init_args") or {}).get("project")):
            return project
    return _PROJECT
