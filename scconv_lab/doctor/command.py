"""The words of `scconv-lab doctor`."""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from scconv_lab.doctor import machine
from scconv_lab.doctor.check import Check
from scconv_lab.errors import UserError
from scconv_lab.messages import nearest

_HELP = """usage: scconv-lab doctor [--config FILE ...] [--KEY VALUE ...] [--format FORMAT]

Look for what a run would stumble over: interpreter, torch, driver, GPUs, folders, disk, W&B, SLURM; and, given the
arguments of a fit, its data, net and checkpoints. Nothing is fetched, trained or left over.

Exit code: 0 if nothing fails, 1 if a check fails, 2 for a mistake in the arguments or files.

options:
  --config FILE    as for fit, and so is every --KEY VALUE
  --format FORMAT  text  a table, or lines where no terminal reads them
                   json  {"ok": true, "checks": [{"name": ..., "state": ..., "found": ..., "todo": ...}]}
                         state is ok, warn, fail or skip (there is nothing to look at)
  -h, --help       this text
"""
_FORMATS = ("text", "json")
_STYLE = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


def run(arguments: Sequence[str], *, experiment: str | None) -> int:
    """Run the command, the bases of its files expanded; see `scconv_lab.cli.main` for the exit codes."""
    if "-h" in arguments or "--help" in arguments:
        print(_HELP, end="")
        return 0
    given, file_format = _split(arguments)
    checks = _checks(given, experiment)
    healthy = all(check.state != "fail" for check in checks)
    if file_format == "json":
        print(json.dumps({"ok": healthy, "checks": [asdict(check) for check in checks]}, indent=1))
    else:
        _show(checks)
    return 0 if healthy else 1


def _split(arguments: Sequence[str]) -> tuple[list[str], str]:
    """The arguments of a fit, and the format."""
    given: list[str] = []
    file_format = "text"
    rest = iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option != "--format":
            given.append(argument)
            continue
        file_format = value if equals else next(rest, "")
        if file_format not in _FORMATS:
            raise UserError(f"--format {file_format} is not known{nearest(file_format, _FORMATS)}")
    return given, file_format


def _checks(given: list[str], experiment: str | None) -> list[Check]:
    checks = [machine.python(), machine.torch()]
    if checks[-1].state == "fail":
        return checks  # nothing below can be looked at without it
    from scconv_lab.doctor.experiment import Plan
    from scconv_lab.doctor.tracking import wandb

    plan = Plan(given, experiment=experiment) if given else None
    checks += machine.gpus(plan.gpus if plan else None)
    if plan:
        checks += [plan.data(), plan.net()]
    runs = plan.runs if plan else Path("runs")
    elsewhere = "choose another with --trainer.default_root_dir"
    checks.append(machine.writable("run folder", runs, needed=True, way_out=elsewhere))
    temporary = Path(tempfile.gettempdir())
    checks.append(machine.writable("temporary folder", temporary, needed=True, way_out="set TMPDIR to another folder"))
    checks.append(machine.disk(runs, plan.checkpoint_bytes if plan else None))
    logs = plan is None or plan.logs_to_wandb
    checks.append(wandb() if logs else Check("W&B", "skip", "the configuration does not log to it"))
    return [*checks, machine.slurm()]


def _show(checks: Sequence[Check]) -> None:
    if sys.stdout.isatty():
        from rich.text import Text

        from scconv_lab.terminal.tables import print_table

        columns = ("check", "state", "found", "what to do")
        rows = [(c.name, Text(c.state, style=_STYLE[c.state]), c.found, c.todo) for c in checks]
        print_table(columns, rows, texts=columns, fold=columns[2:])
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            print(f"{check.state:<4}  {check.name:<{width}}  {check.found}")
            if check.todo:
                print(f"{'':<{4 + 2 + width}}  -> {check.todo}")
    failed = [check.name for check in checks if check.state == "fail"]
    print(f"fails: {', '.join(failed)}" if failed else "nothing fails")
