"""One run as its folder has it: its arm and seed, what became of it, its values, and what it was made by."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scconv_lab.errors import DIVERGED, UserError
from scconv_lab.run_folder.attempts import attempts, stopped_early
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.run_folder.results import read_results
from scconv_lab.run_folder.state import damage, state_of
from scconv_lab.verdicts.judge import Value
from scconv_lab.verdicts.metrics import Metric

MADE_BY = ("code", "lock_hash", "torch", "device", "precision")
"""Keys of results.json in which the runs of a comparison must agree, whatever their arm."""
OF_THE_DATA = ("data", "test_images", "test_labels")
"""Those in which two arms that are compared must agree."""


@dataclass(frozen=True)
class Measured:
    """A run of an arm.

    Args:
        folder: Its folder; it need not be there.
        arm: Its arm.
        seed: Its seed.
        state: In a word; "done" if it is finished.
        results: Its results.json; empty of a run that is not finished.
        note: What is wrong with its folder; empty if nothing.
    """

    folder: Path
    arm: str
    seed: int
    state: str
    results: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def lost(self) -> str:
        """Why the run has no value, by its own doing; empty if it has one, or the machine is to blame."""
        return {"diverged": "diverged", "stopped": "stopped early"}.get(self.state, "")

    @property
    def made_by(self) -> dict[str, str]:
        """What it was made by, of the keys that it noted; ``code`` is the lab's own part of it, or its commit."""
        found = {key: str(value) for key in MADE_BY if (value := self.results.get(key)) is not None}
        code = self.results.get("code")
        if isinstance(code, Mapping) and "scconv_lab" in code:
            return found | {"code": str(code["scconv_lab"])}
        commit = self.results.get("git_commit")
        return {key: value for key, value in found.items() if key != "code"} | ({"code": commit} if commit else {})

    def value(self, metric: Metric, checkpoint: str) -> Value:
        """What it came to in the metric's unit."""
        raw = self.raw(metric.name, checkpoint)
        if raw is None:
            return Value(None, lost=self.lost)
        if not math.isfinite(raw):
            return Value(None, lost="diverged")
        return Value(raw * metric.scale, images=self._per_image(metric, checkpoint))

    def raw(self, name: str, checkpoint: str) -> float | None:
        """A figure of results.json as it stands there; None if it lacks it."""
        figures = self.results.get(checkpoint)
        found = figures.get(name) if isinstance(figures, Mapping) else None
        return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None

    def _per_image(self, metric: Metric, checkpoint: str) -> Callable[[], np.ndarray] | None:
        file = RunFolder(self.folder).per_image
        if not file.is_file():
            return None

        def read() -> np.ndarray:
            with np.load(file) as arrays:
                return _OF_AN_IMAGE[metric.name](arrays, checkpoint) * metric.scale

        return read


def read_run(folder: Path, *, arm: str | None = None, seed: int | None = None) -> Measured:
    """Read a run's folder; nothing in it makes this raise.

    Args:
        folder: The folder.
        arm: Its arm by a sweep; None takes what results.json says.
        seed: Likewise.
    """
    files = RunFolder(folder)
    known = {"folder": folder, "arm": arm or "", "seed": seed or 0}
    try:
        results = read_results(files.results) or {}
        state = "done" if results else state_of(files)
    except (UserError, OSError) as error:
        return Measured(**known, state="damaged", note=str(error))
    if state == "damaged":
        return Measured(**known, state=state, note=damage(files))
    if results:
        name, _, number = folder.parent.name.rpartition("-s")  # as a fit that is no sweep's names its folder
        arm = arm or _text(results.get("arm")) or (name if number.isdecimal() else folder.parent.name)
        seed = results.get("seed", int(number) if number.isdecimal() else 0) if seed is None else seed
        if not isinstance(seed, int):
            return Measured(folder, arm, 0, "damaged", note=f"{files.results}: `seed` (={seed!r}) must be a number")
        return Measured(folder, arm, seed, "done", results)
    if state == "failed" and any(attempt.get("code") == DIVERGED for attempt in attempts(files)):
        state = "diverged"
    return Measured(**known, state=state, note=stopped_early(files) or "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _acc1(arrays: Mapping[str, np.ndarray], checkpoint: str) -> np.ndarray:
    return (arrays[f"{checkpoint}.prediction"] == arrays["label"]).astype(float)


def _acc5(arrays: Mapping[str, np.ndarray], checkpoint: str) -> np.ndarray:
    return arrays[f"{checkpoint}.top5"].astype(float)


def _loss(arrays: Mapping[str, np.ndarray], checkpoint: str) -> np.ndarray:
    return -arrays[f"{checkpoint}.log_p_label"].astype(float)


def _brier(arrays: Mapping[str, np.ndarray], checkpoint: str) -> np.ndarray:
    p_label = np.exp(arrays[f"{checkpoint}.log_p_label"].astype(float))
    return 1 - 2 * p_label + arrays[f"{checkpoint}.sum_p2"]


_OF_AN_IMAGE = {"test/acc1": _acc1, "test/acc5": _acc5, "test/loss": _loss, "test/brier": _brier}
