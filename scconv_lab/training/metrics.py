"""The measures of a classifier."""

from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from scconv_lab.data import IGNORE_INDEX

METRICS = {"train/loss": "min", "val/loss": "min", "val/acc1": "max", "val/acc5": "max"}
"""The metrics that a fit logs each epoch, and which end of each is the better one."""


def accuracies(num_classes: int, *, prefix: str) -> MetricCollection:
    """Top-1 and top-5 accuracy over samples, as ``acc1`` and ``acc5`` between 0 and 1.

    With fewer than five classes acc5 is taken over all of them, and is 1. The two must not share their state, though
    torchmetrics would merge them where they agree on the first batch: hence ``compute_groups=False``.

    Args:
        num_classes: Classes to tell apart; at least 2.
        prefix: Put before the names, such as "val/".
    """

    def top(k: int) -> MulticlassAccuracy:
        return MulticlassAccuracy(
            num_classes, top_k=min(k, num_classes), average="micro", ignore_index=IGNORE_INDEX, validate_args=False
        )

    return MetricCollection({"acc1": top(1), "acc5": top(5)}, prefix=prefix, compute_groups=False)
