"""What a run tells the person who watches it."""

import time
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import rich.console
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only

from scconv_lab.surgery import SurgeryReport
from scconv_lab.terminal.tables import fit, terminal_width
from scconv_lab.training.classifier import Classifier
from scconv_lab.training.metrics import METRICS
from scconv_lab.training.record import RunRecord
from scconv_lab.training.tracking import WandbLogger

_INDENT = " " * 9
_WIDTH = 120  # columns of a log file


class Console(Callback):
    """Prints the run's head, one line an epoch, and the results: lines that a log file keeps as they are.

    Args:
        name: The run's name.
        record: Knows the run's folder and complexity.
        notes: Lines that belong in the head.
    """

    warnings: list[str]
    """What is odd about the run; printed in its head."""

    def __init__(self, name: str, record: RunRecord, notes: Sequence[str] = ()):
        self.name = name
        self.record = record
        self.notes = notes
        self.warnings = []
        self._epoch_start = 0.0
        self._rate = 0.0
        self._validated = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print what is about to be trained."""
        assert isinstance(pl_module, Classifier)
        cost = self.record.cost
        _print(trainer, f"run      {self.name}")
        _print(trainer, f"folder   {self.record.run_dir}")
        for note in self.notes:
            _print(trainer, note)
        report = pl_module.surgery_report
        _print(trainer, _wrapped(f"net      {type(pl_module.net).__name__}, {report or 'plain'}"))
        if report:
            _print(trainer, _table(report))
        if cost:
            size = " x ".join(map(str, pl_module.image_shape))
            counted = f"{cost.params:,} params, {cost.macs:,} MACs = {cost.flops:,} FLOPs"
            _print(trainer, _wrapped(f"cost     {counted} for an image of {size} (convolutions and linear layers)"))
        for measured in self.record.measured:
            _print(trainer, f"measured {measured}")
        for warning in (*self.record.warnings, *self.warnings):
            _print(trainer, _wrapped(f"warning  {warning}"))
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                _print(trainer, f"W&B      {logger.state}")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock: an epoch that is resumed within has no start of its own."""
        self._epoch_start = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note when the epoch starts."""
        self._epoch_start = time.monotonic()
        self._validated = False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note the learning rate of the step: the schedule moves on before the epoch's end."""
        self._rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the epoch's metrics, those of a validation only if the epoch had one."""
        metrics = trainer.callback_metrics
        keys = [key for key in METRICS if key in metrics and (self._validated or not key.startswith("val/"))]
        shown = [f"{key} {metrics[key].item():.4f}" for key in keys]
        seconds = time.monotonic() - self._epoch_start
        of = f"/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else ""
        epoch = f"epoch {trainer.current_epoch + 1}{of}"
        _print(trainer, _folded(f"{epoch:<15}", [*shown, f"lr {self._rate:.3g}", f"{seconds:.1f} s"]))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the metrics of a validation outside a fit."""
        self._validated = not trainer.sanity_checking
        if trainer.state.fn == "validate":
            self._print_stage(trainer, "val")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the test's metrics."""
        self._print_stage(trainer, "test")

    def _print_stage(self, trainer: Trainer, stage: str) -> None:
        metrics = trainer.callback_metrics.items()
        values = [f"{key} {value.item():.4f}" for key, value in metrics if key.startswith(f"{stage}/")]
        weights = []
        if trainer.ckpt_path:
            weights = [f"({Path(trainer.ckpt_path).name})"]
        elif trainer.global_step:
            weights = ["(the last weights)"]
        _print(trainer, _folded(f"{stage:<15}", [*values, *weights]))


def _width() -> int:
    return terminal_width(_WIDTH)


def _wrapped(text: str) -> str:
    """A text as lines that fit the terminal, under the values of the lines around it."""
    return fill(text, _width(), subsequent_indent=_INDENT, break_on_hyphens=False)


def _folded(head: str, parts: Sequence[str]) -> str:
    """A line of parts two spaces apart; those that a terminal has no room for stand in a line of their own."""
    lines = [head]
    for part in parts:
        if len(f"{lines[-1]}  {part}") > _width() and lines[-1].strip():
            lines.append(" " * len(head))
        lines[-1] = f"{lines[-1]}  {part}"
    return "\n".join(lines)


def _table(report: SurgeryReport) -> str:
    """The report as lines that fit the terminal, under the values of the lines around it."""
    table = report.__rich__()
    width = fit(table, _width() - len(_INDENT))
    console = rich.console.Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(_INDENT + line.rstrip() for line in captured.get().splitlines() if line.strip())


@rank_zero_only
def _print(trainer: Trainer, line: str) -> None:
    """Print a line above the progress bar, if there is one."""
    if trainer.progress_bar_callback is None:
        print(line, flush=True)
    else:
        trainer.progress_bar_callback.print(line)
