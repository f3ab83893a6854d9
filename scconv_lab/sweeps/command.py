"""The words of `scconv-lab sweep`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from scconv_lab import shipped
from scconv_lab.config import yaml_text
from scconv_lab.errors import UserError
from scconv_lab.grid.expand import expand
from scconv_lab.grid.file import read_sweep
from scconv_lab.terminal.command_parser import CommandParser
from scconv_lab.terminal.loading import loading

_EPILOG = """\
Run the command again to resume what was interrupted, to retry once what failed, or to run what an edited file adds;
what is done stays done. Two runs are one if all that their results depend on is the same. All arms are parsed and
their nets built before anything starts. Ctrl-C ends the runs with a checkpoint, a second one kills them.

examples:
  scconv-lab sweep experiments/sweeps/table1.yaml --config configs/scale/quick.yaml
  scconv-lab sweep experiments/sweeps/table1.yaml --config configs/hardware/gpu.yaml --plan
  scconv-lab sweep experiments/sweeps/alpha.yaml --only 'alpha=0.5,0.75' --only seed=0
  scconv-lab sweep experiments/sweeps/table1.yaml --launcher slurm --slurm partition=gpu --dry-run
"""


def run(arguments: Sequence[str]) -> int:
    """Run the command; see `scconv_lab.cli.main` for the exit codes."""
    options = _parser().parse_args(arguments)
    _require_sense(options)
    file = read_sweep(shipped.locate(options.file))
    configs = [*map(shipped.locate, options.config)]
    arms = expand(file, configs=configs, overrides=dict(map(_key_and_value, options.set)))
    shipped.say_used()
    with loading():
        from scconv_lab.sweeps.sweep import Sweep

        if options.launcher == "local" and not (options.plan or options.status):
            from scconv_lab.sweeps import worker

            worker.warm_up()
    sweep = Sweep(file, arms, only=options.only, configs=[*map(str, options.config)], keys=options.set)
    if options.status:
        return sweep.print_status()
    if options.plan:
        return sweep.print_plan(probe=options.probe)
    if options.retry_failed:
        sweep.forgive()
    if options.redo_changed:
        sweep.redo_changed()
    if options.launcher == "slurm":
        return sweep.submit(options.slurm, dry_run=options.dry_run, verbose=options.verbose)
    if options.launcher == "wandb":
        return sweep.define_for_agents()
    return sweep.launch(gpus=options.gpus, workers=options.workers)


def _parser() -> CommandParser:
    parser = CommandParser(
        "sweep",
        usage="scconv-lab sweep FILE [--config FILE ...] [--set KEY=VALUE ...] [options]",
        description="Run every arm of a sweep with every seed, and print the table of arms.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("file", metavar="FILE", type=Path, help="the sweep, such as experiments/sweeps/table1.yaml")
    add("--config", metavar="FILE", type=Path, action="append", default=[], help="for all runs; an arm's own keys win")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="a key for all runs; it wins over all others")
    add("--only", metavar="KEY=PATTERN", action="append", default=[], help="arm, seed or an axis; commas stand for or")
    add("--plan", action="store_true", help="show what there is to do and about how long it takes; start nothing")
    add("--probe", action="store_true", help="with --plan: time a few steps of each arm on this machine")
    add("--status", action="store_true", help="show what has become of each run; start nothing")
    add("--retry-failed", action="store_true", help="try runs again that failed twice or were stopped early")
    add("--redo-changed", action="store_true", help="run again what other code or versions than are here have made")
    add("--launcher", choices=("local", "slurm", "wandb"), default="local", help="this machine, or others")
    add("--gpus", metavar="I,J", help="GPUs to use here; all that are visible, if left out")
    add("--workers", metavar="N", type=int, help="runs at a time on CPUs; one a core, if left out")
    add("--slurm", metavar="KEY=VALUE", action="append", default=[], help="an option of sbatch, such as account=x")
    add("--dry-run", action="store_true", help="with --launcher slurm: print what would be submitted")
    add("--verbose", action="store_true", help="with --dry-run: print the whole scripts")
    return parser


def _require_sense(options: argparse.Namespace) -> None:
    if options.plan and options.status:
        raise UserError("--plan and --status are two answers; ask for one")
    for name, needed, there in (
        ("probe", "--plan", options.plan),
        ("dry_run", "--launcher slurm", options.launcher == "slurm"),
        ("slurm", "--launcher slurm", options.launcher == "slurm"),
        ("gpus", "--launcher local", options.launcher == "local"),
        ("workers", "--launcher local", options.launcher == "local"),
    ):
        if getattr(options, name) and not there:
            raise UserError(f"--{name.replace('_', '-')} is for {needed}; add that, or leave it out")
    if options.workers is not None and options.workers < 1:
        raise UserError(f"--workers {options.workers} must be at least 1")


def _key_and_value(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UserError(f"--set {text} must be KEY=VALUE, such as --set trainer.max_epochs=5")
    if key == "seed_everything":
        raise UserError(f"--set {text} would make all seeds one; edit the file's `seeds`, or choose by --only seed=0")
    try:
        return key, yaml_text.load(value)
    except yaml.YAMLError:
        return key, value
