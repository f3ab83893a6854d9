"""The metrics that a verdict can be about, each with its unit and its better end."""

from dataclasses import dataclass

from scconv_lab.errors import UserError
from scconv_lab.messages import nearest


@dataclass(frozen=True)
class Metric:
    """A figure that a run has of a test.

    Args:
        name: As in results.json, such as "test/acc1".
        unit: In which differences and margins are given.
        scale: A stored value times this is in the unit; accuracies are stored as fractions.
        higher_is_better: The better end.
        counts_images: Whether it is a share of the test images, so that it moves in steps of one image.
    """

    name: str
    unit: str
    scale: float = 1.0
    higher_is_better: bool = False
    counts_images: bool = False

    @property
    def better(self) -> str:
        """Its better end in a word."""
        return "higher" if self.higher_is_better else "lower"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("test/acc1", "points", 100.0, higher_is_better=True, counts_images=True),
        Metric("test/acc5", "points", 100.0, higher_is_better=True, counts_images=True),
        Metric("test/loss", "nats"),
        Metric("test/brier", "squared probability"),
    )
}
"""By name; accuracies in percent points, the loss without label smoothing."""


def metric_named(name: object, *, key: str) -> Metric:
    """The metric of a name; UserError naming ``key``, its place in a file or on the command line, if there is none."""
    if not isinstance(name, str) or name not in METRICS:
        raise UserError(f"{key} (={name!r}) must be a metric of a test{nearest(str(name), list(METRICS))}")
    return METRICS[name]
