"""How far a run has come, from the line that it leaves for each epoch."""

from dataclasses import dataclass, field
from typing import Any

from scconv_lab.run_folder.files import read_lines
from scconv_lab.run_folder.layout import RunFolder


@dataclass(frozen=True)
class Progress:
    """How far a run has come: the last epoch that is done and how many there are, the same in steps, and val/acc1.

    Args:
        epoch: The last epoch that is done; 0 if none is.
        epochs: How many are wanted; None where only steps end the run.
        step: Steps that are done.
        steps: How many are wanted; None where only epochs end the run.
        seconds: Of each epoch.
        accuracies: val/acc1 of each epoch that had a validation.
    """

    epoch: int = 0
    epochs: int | None = None
    step: int = 0
    steps: int | None = None
    seconds: tuple[float, ...] = ()
    accuracies: dict[int, float] = field(default_factory=dict)

    @property
    def seconds_left(self) -> float | None:
        """Of training, if the rest takes as long as what was done has; the sooner of epochs and steps ends it."""
        if not self.seconds:
            return None
        shares = [self.epoch / self.epochs] if self.epochs else []
        shares += [self.step / self.steps] if self.steps else []
        return sum(self.seconds) * (1 / max(shares) - 1) if shares and max(shares) > 0 else None

    def __str__(self) -> str:
        if self.epoch == 0:
            return ""
        if self.steps and not self.epochs:
            return f"step {self.step}/{self.steps}"
        return f"{self.epoch}/{self.epochs}" if self.epochs else f"{self.epoch}"


def progress_of(files: RunFolder) -> Progress:
    """How far a run has come; an epoch that was done twice counts as it was last."""
    lines = {line["epoch"]: line for line in read_lines(files.progress) if _is_progress(line)}
    if not lines:
        return Progress()
    last = lines[max(lines)]
    return Progress(
        last["epoch"],
        last["epochs"],
        last["step"],
        last["steps"],
        tuple(line["seconds"] for line in lines.values()),
        {epoch: line["val/acc1"] for epoch, line in lines.items() if line["val/acc1"] is not None},
    )


def _is_progress(line: dict[str, Any]) -> bool:
    """Whether a line has what `progress_of` reads, of the right kinds."""
    whole, number = int, int | float
    kinds = {"epoch": whole, "epochs": whole | None, "step": whole, "steps": whole | None, "seconds": number}
    return all(isinstance(line.get(key, ""), kind) for key, kind in (kinds | {"val/acc1": number | None}).items())
