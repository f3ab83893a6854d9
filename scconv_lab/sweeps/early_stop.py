"""Which runs cannot reach the reference any more."""

from collections.abc import Sequence

from scconv_lab.grid.file import EarlyStop
from scconv_lab.run_folder.progress import progress_of
from scconv_lab.run_folder.state import state_of
from scconv_lab.sweeps.resolve import Run


def why_hopeless(run: Run, runs: Sequence[Run], rule: EarlyStop) -> str | None:
    """Say why a run will stay below all finished runs of the reference arm, or None while it may not.

    From epoch ``rule.after`` on: its best val/acc1 so far, with the most that any run of the reference still gained
    from that epoch to its end, is less than the least that one ended with. A guess by the reference's curves and no
    proof, so a run that is stopped by it is recorded as stopped, and counts in no mean.
    """
    here = progress_of(run.files)
    if run.arm.name == rule.reference or here.epoch < rule.after:
        return None
    ends, gains = [], []
    for other in runs:
        if other.arm.name == rule.reference and state_of(other.files) == "done":
            curve = progress_of(other.files).accuracies
            best = max(curve.values(), default=0.0)
            ends.append(best)
            gains.append(best - max((value for epoch, value in curve.items() if epoch <= here.epoch), default=0.0))
    reached = max(here.accuracies.values())
    if not ends or reached + max(gains) >= min(ends):
        return None
    reached_at = str(here) if here.steps and not here.epochs else f"epoch {here}"
    return (
        f"val/acc1 {reached:.4f} after {reached_at}, where {rule.reference} gained at most "
        f"{max(gains):.4f} more and ended at {min(ends):.4f} or higher"
    )
