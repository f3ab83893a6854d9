"""The words of `scconv-lab results`."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

from scconv_lab import shipped
from scconv_lab.errors import DONE, MISTAKE, UserError
from scconv_lab.grid.file import read_sweep
from scconv_lab.messages import nearest
from scconv_lab.results.collect import of_folders, of_sweep
from scconv_lab.results.compare import Comparison, Question, compare
from scconv_lab.results.formats import FORMATS, ROWS, as_text
from scconv_lab.results.into import put_into
from scconv_lab.results.ledger import LEDGER, of_entry, publish
from scconv_lab.results.measured import Measured, read_run
from scconv_lab.results.show import print_comparison
from scconv_lab.results.verify import LEVELS, verify
from scconv_lab.run_folder.layout import RUNS, SWEEPS
from scconv_lab.terminal.command_parser import CommandParser
from scconv_lab.terminal.loading import loading
from scconv_lab.verdicts.metrics import METRICS, metric_named

_EPILOG = """\
A verdict is better, worse, equivalent (the difference is below the margin), better or worse within the margin, cannot
tell, or exploratory, where something was not planned in the sweep's file before the runs. In at most 5 of 100
experiments one of a file's verdicts is false. Runs that are unfinished, diverged, stopped early or made by other code
than most are listed, and never part of a mean. The exit code is 2 where no contrast can be judged.

examples:
  scconv-lab results experiments/sweeps/table1.yaml
  scconv-lab results experiments/sweeps/table1.yaml --format latex --rows contrasts
  scconv-lab results runs/sweeps --against plain --margin 0.5
"""


def run(arguments: Sequence[str]) -> int:
    """Run the command; see `scconv_lab.cli.main` for the exit codes."""
    options = _parser().parse_args(arguments)
    if options.verify is not None:
        return _verify(options)
    question, runs = _asked(options)
    if options.fill:
        runs = _filled(runs)
    asked = _as_asked(question, options)
    if options.publish:
        for line in publish(options.publish, asked, runs):
            print(line)
        return DONE
    comparison = compare(asked, runs)
    if options.into:
        if options.format != "markdown":
            raise UserError(f"--into is for --format markdown, and not for {options.format}; add that")
        changed = put_into(options.into, comparison.question.name, as_text(comparison, "markdown", options.rows))
        print(f"{'written' if changed else 'as it was'}  {options.into}")
    elif options.format == "table":
        print_comparison(comparison, with_runs=options.rows in (None, "runs"))
    else:
        print(as_text(comparison, options.format, options.rows), end="")
    if options.report:
        print(f"report   {_report(comparison, options.report)}", file=sys.stderr)
    return DONE if comparison.has_verdict else MISTAKE


def _verify(options: argparse.Namespace) -> int:
    """Check entries of the ledger."""
    entries = [path for path in options.what if path.suffix == ".json"]
    if len(entries) < len(options.what):
        raise UserError(f"--verify is for entries of the ledger, such as {LEDGER}/table1.json")
    for entry in entries:
        print(f"entry    {entry}")
        verify(shipped.locate(entry), options.verify, root=options.root or Path(RUNS) / SWEEPS, say=print)
    return DONE


def _report(comparison: Comparison, folder: Path) -> Path:
    try:
        from scconv_lab.results.report.page import write_report
    except ImportError as error:
        raise UserError(f"--report needs {error.name}; `pip install 'scconv_lab[report]'` brings it") from error
    return write_report(comparison, folder)


def _asked(options: argparse.Namespace) -> tuple[Question, list[Measured]]:
    entries = [path for path in options.what if path.suffix == ".json"]
    if entries and len(options.what) > 1:
        raise UserError(f"results takes one entry of the ledger ({entries[0]}), or others with --verify")
    if entries:
        question, runs, _ = of_entry(shipped.locate(entries[0]))
        return question, runs
    sweeps = [path for path in options.what if path.suffix in (".yaml", ".yml")]
    if sweeps and len(options.what) > 1:
        raise UserError(f"results takes one sweep's file ({sweeps[0]}) or folders; leave the others out")
    if sweeps:
        file = read_sweep(shipped.locate(sweeps[0]))
        question, runs, launch = of_sweep(file, root=options.root, configs=options.config, keys=options.set)
        if options.format == "table":
            print(f"launch   the last, with {launch}")
    else:
        for name in ("config", "set", "root"):
            if getattr(options, name):
                raise UserError(f"--{name} is for a sweep's file; leave it out")
        question, runs = of_folders(options.what)
    return question, runs


def _filled(runs: Sequence[Measured]) -> list[Measured]:
    """Complete the results of runs that lack a test, from their checkpoints; stdout is for the answer."""
    lacking = [run for run in runs if run.state == "done" and run.raw("test/acc1", "last") is None]
    if not lacking:
        return [*runs]
    with loading():
        from scconv_lab.fit.fill import fill
    found = {run.folder: run for run in runs}
    for run in lacking:
        try:
            with redirect_stdout(sys.stderr):
                fill(run.folder)
        except UserError as error:
            print(f"lacking  {run.arm}, seed {run.seed}: {error}", file=sys.stderr)
            continue
        print(f"filled   {run.arm}, seed {run.seed}: {run.folder}", file=sys.stderr)
        found[run.folder] = read_run(run.folder, arm=run.arm, seed=run.seed)
    return list(found.values())


def _as_asked(question: Question, options: argparse.Namespace) -> Question:
    """Change the design as the command line does; what it changes is exploratory."""
    design, changed = question.design, []
    if options.metric:
        metric = metric_named(options.metric, key="--metric")
        if metric != design.metric:
            design, changed = replace(design, metric=metric), [*changed, "--metric"]
    if options.margin is not None and options.margin != design.margin:
        if not 0 < options.margin < float("inf"):
            raise UserError(f"--margin {options.margin} must be a number above 0")
        design, changed = replace(design, margin=options.margin), [*changed, "--margin"]
    if options.scope and options.scope != design.scope:
        design, changed = replace(design, scope=options.scope), [*changed, "--scope"]
    if options.checkpoint and options.checkpoint != design.checkpoint:
        design, changed = replace(design, checkpoint=options.checkpoint), [*changed, "--checkpoint"]
    if options.against:
        if options.against not in question.arms:
            raise UserError(f"--against {options.against} is no arm{nearest(options.against, [*question.arms])}")
        others = tuple((arm, options.against) for arm in question.arms if arm != options.against)
        planned = design.contrasts(question.arms)
        if [(contrast.arm, contrast.reference) for contrast in planned] != [*others]:
            design, changed = replace(design, against={}, pairs=others), [*changed, "--against"]
    why = question.exploratory or (f"{' and '.join(changed)} is not as the file has it" if changed else "")
    return replace(question, design=design, exploratory=why)


def _parser() -> CommandParser:
    parser = CommandParser(
        "results",
        usage="scconv-lab results (FILE.yaml | FOLDER ... | ENTRY.json) [options]",
        description="Say what the finished runs of a sweep show: every run, every arm, and a verdict on each contrast.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("what", metavar="FILE", type=Path, nargs="+", help="a sweep's file, folders of runs, or an entry of the ledger")
    add("--metric", metavar="METRIC", help=f"in place of the file's: {', '.join(METRICS)}")
    add("--against", metavar="ARM", help="compare every other arm with this one")
    add("--margin", metavar="X", type=float, help="the least difference that matters, in the metric's unit")
    add("--scope", choices=("seeds", "images"), help="claim something for new seeds, or for new images too")
    add("--checkpoint", choices=("last", "best"), help="the weights that were tested")
    add("--fill", action="store_true", help="first test the checkpoints of runs of earlier versions, which lack that")
    add("--format", choices=("table", *FORMATS), default="table", help="table (for reading), or one for programs")
    add("--rows", choices=ROWS, help="only these rows; all, if left out (of csv the runs)")
    add("--into", metavar="FILE", type=Path, help="with --format markdown: put it between the markers of a text")
    add("--report", metavar="FOLDER", type=Path, help="write a page with figures and tables too")
    add("--publish", metavar="ID", help="write the runs' shards, and the entry ID when a planned look is complete")
    levels = "check entries: 0 verdicts, 1 files, 2 tests, 3 a run"
    add("--verify", metavar="LEVEL", type=int, choices=LEVELS, help=levels)
    add("--root", metavar="FOLDER", type=Path, help="folder of the sweep's runs; runs/sweeps, if left out")
    add("--config", metavar="FILE", action="append", default=[], help="the launch with this file for all runs")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="the launch with this key for all runs")
    return parser
