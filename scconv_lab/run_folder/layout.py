"""A run's folder: the one place that knows the names of what is in it."""

from dataclasses import dataclass
from pathlib import Path

SCHEMA = 1
"""Of the folder's files; results.json names it. A folder without it was left by an earlier version, and is read too."""
RUNS = "runs"
"""Folder of all runs, where `trainer.default_root_dir` names none."""
SWEEPS = "sweeps"
"""Folder in it of the runs of all sweeps: what two sweeps have in common is run once."""
EVALUATIONS = "evaluations"
"""Folder in it of what was found for weights that lie in no run's folder."""
REPLACED = "replaced"
"""Folder next to the runs of sweeps, for those that were run again."""
BEST = "best.ckpt"
"""The checkpoint of the highest val/acc1."""
CHECKPOINTS = ("last.ckpt", "previous.ckpt")
"""Checkpoints that a run is resumed from, newest first; best.ckpt may be far older."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; it need not be there.

    Args:
        path: The folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration: ``scconv-lab fit --config`` it repeats the run. Where it is, a run has begun."""
        return self.path / "config.yaml"

    @property
    def results(self) -> Path:
        """Final measures, as JSON; where it is, the run is finished."""
        return self.path / "results.json"

    @property
    def code(self) -> Path:
        """Hashes of the sources, one line of JSON for each process of the run that had others than the one before."""
        return self.path / "code.jsonl"

    @property
    def progress(self) -> Path:
        """A line of JSON for each epoch."""
        return self.path / "progress.jsonl"

    @property
    def history(self) -> Path:
        """The rows that were logged to W&B, and the id of the W&B run."""
        return self.path / "history.jsonl"

    @property
    def lock(self) -> Path:
        """Locked by the process that works on the run."""
        return self.path / "lock"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The checkpoint of the highest val/acc1."""
        return self.checkpoints / BEST

    @property
    def last(self) -> Path:
        """The checkpoint of the last epoch, or of the last stop or save within one."""
        return self.checkpoints / CHECKPOINTS[0]

    @property
    def launched(self) -> Path:
        """What a sweep launches the run from."""
        return self.path / "run.yaml"

    @property
    def log(self) -> Path:
        """What the processes of a sweep's run printed."""
        return self.path / "log.txt"

    @property
    def attempts(self) -> Path:
        """A line of JSON for each try of a sweep at the run."""
        return self.path / "attempts.jsonl"

    @property
    def per_image(self) -> Path:
        """What the final tests found of each test image, as NumPy's arrays."""
        return self.path / "predictions.npz"

    def evaluation(self, command: str, weights: Path) -> Path:
        """The figures that the command found for these weights, as JSON."""
        return self.path / f"{command}-{weights.stem}.json"

    def confusion(self, weights: Path, ending: str) -> Path:
        """Which classes these weights take for which, as CSV or PNG."""
        return self.path / f"confusion-{weights.stem}.{ending}"

    def predictions(self, weights: Path, *, of: str = "") -> Path:
        """Predictions by these weights, as CSV: for the validation images, or what ``of`` names."""
        return self.path / f"predictions-{weights.stem}{f'-{of}' if of else ''}.csv"

    @property
    def begun(self) -> bool:
        """Whether a fit has begun here."""
        return self.config.is_file()

    @property
    def times_replaced(self) -> int:
        """How often a sweep has set the run's folder aside and run it again."""
        return len(list(self.path.parent.glob(f"{REPLACED}/{self.path.name}-*")))

    def set_aside(self) -> Path:
        """Move the folder out of the way of another run of the same name, and return where it is now."""
        target = self.path.parent / REPLACED / f"{self.path.name}-{self.times_replaced + 1}"
        target.parent.mkdir(exist_ok=True)
        return self.path.rename(target)
