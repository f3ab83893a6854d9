"""What a sweep shows: events as lines, what is under way as a live table, and its tables."""

import signal
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scconv_lab.errors import DIVERGED, DONE, ENDED_BY_REQUEST, FAILED, MISTAKE
from scconv_lab.run_folder.attempts import attempts
from scconv_lab.run_folder.progress import progress_of
from scconv_lab.run_folder.state import state_of
from scconv_lab.sweeps import ledger
from scconv_lab.sweeps.resolve import Run
from scconv_lab.terminal.tables import fit, new_table, print_fitted

_LOG_LINES = 8
_REACHED = ("val/acc1", "test/acc1")
_TEXTS = ("arm", "run", "state", "found")
_FOLDED = ("arm", "found")
_WHY = {
    DONE: "ended before it was finished",
    FAILED: "crashed",
    MISTAKE: f"exit code {MISTAKE}, bad input",
    DIVERGED: "diverged",
    **{code: f"ended by {signal.Signals(code - 128).name}" for code in ENDED_BY_REQUEST},
}


class Board:
    """Tells what happens: a line an event, and on a terminal a table of the runs under way below them.

    Args:
        runs: All runs that were chosen.
        checkpoint: The one whose test is shown, "last" or "best".
    """

    def __init__(self, runs: Sequence[Run], checkpoint: str) -> None:
        self.runs = runs
        self.checkpoint = checkpoint
        self._console = Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._took: list[float] = []
        self._done = sum(state_of(run.files) == "done" for run in runs)
        self._arm_width = max((len(run.arm.name) for run in runs), default=0)
        self._began = time.monotonic()

    def __enter__(self) -> "Board":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.update(Text(""), refresh=True)
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line about the whole sweep."""
        self._console.print(Text(text))

    def tell(self, run: Run, event: str, detail: str = "") -> None:
        """Print a line about a run."""
        clock = time.strftime("%H:%M:%S")
        line = f"{clock}  {run.arm.name:<{self._arm_width}}  s{run.seed:<3} {event:<11}  {run.id}  {detail}"
        self.say(line.rstrip())

    def done(self, run: Run, seconds: float) -> None:
        """Print what a run has reached."""
        self._took.append(seconds)
        found = tested(ledger.results(run), self.checkpoint)
        reached = "  ".join(f"{key} {value:.4f}" for key, value in found.items() if key in _REACHED)
        self._done += 1
        self.tell(run, "done", f"{reached}  {duration(seconds)}  ({self._done} of {len(self.runs)} done)")

    def update(self, under_way: Sequence[tuple[Run, float]], waiting: int) -> None:
        """Show the runs under way, each with its seconds so far, and how many wait."""
        if not self._live:
            return
        table = _table("arm", "seed", "run", "epoch", "val/acc1", "time", "left")
        lefts = []
        for run, seconds in under_way:
            progress = progress_of(run.files)
            left = progress.seconds_left
            lefts.append(left or 0.0)
            accuracy = progress.accuracies.get(progress.epoch)
            table.add_row(
                Text(run.arm.name),
                str(run.seed),
                run.id,
                str(progress),
                f"{accuracy:.4f}" if accuracy is not None else "",
                duration(seconds),
                duration(left) if left is not None else "",
            )
        table.caption = f"{waiting} waiting{self._left(lefts, waiting)}"
        table.caption_justify = "left"
        fit(table, self._console.width)
        self._live.update(table, refresh=True)

    def _left(self, lefts: Sequence[float], waiting: int) -> str:
        if not lefts or (waiting and not self._took):
            return ""
        work = sum(lefts) + waiting * (statistics.mean(self._took) if self._took else 0.0)
        return f", about {duration(max(max(lefts), work / len(lefts)))} left"


def tested(results: Mapping[str, Any], checkpoint: str) -> dict[str, Any]:
    """The results of a run with the figures of one checkpoint's test; of a run that tested one only, of that."""
    return {**results, **results.get(checkpoint, {})}


def print_runs(rows: Iterable[Sequence[str]], *columns: str) -> None:
    """Print a row a run."""
    table = _table(*columns)
    for row in rows:
        table.add_row(*map(Text, row))
    print_fitted(table)


def print_failures(runs: Sequence[Run]) -> None:
    """Print why each failed run did, with the last lines of its log."""
    for run in runs:
        if state_of(run.files) != "failed":
            continue
        codes = [attempt.get("code") for attempt in attempts(run.files)]
        print(f"\nfailed   arm {run.arm.name}, seed {run.seed}: {', then '.join(why_ended(code) for code in codes)}")
        print(f"         {run.files.log} ends in")
        for line in ledger.last_lines(run, _LOG_LINES):
            print(f"         | {line}")


def by_arm(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs of each arm, in their order."""
    arms: dict[str, list[Run]] = {}
    for run in runs:
        arms.setdefault(run.arm.name, []).append(run)
    return list(arms.values())


def duration(seconds: float) -> str:
    """Seconds as a person says them: "45 s", "3 min 20 s", "5 h 07 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def why_ended(code: int | None) -> str:
    """An exit code in words."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}{'; probably out of memory' if name == 'SIGKILL' else ''}"
    return "no exit code" if code is None else _WHY.get(code, f"exit code {code}")


def _table(*columns: str) -> Table:
    """A table in which the arms' names, and what was found, are folded where the terminal is narrow."""
    return new_table(columns, texts=_TEXTS, fold=_FOLDED)
