"""What a sweep sets out to show, written down before its runs: contrasts, metric, margin, seeds and looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from scconv_lab.errors import UserError
from scconv_lab.messages import nearest
from scconv_lab.verdicts.looks import level_of_look
from scconv_lab.verdicts.metrics import METRICS, Metric

ALPHA = 0.05
"""The error of all verdicts of one file together."""

Checkpoint = Literal["last", "best"]
Scope = Literal["seeds", "images"]
Labels = Mapping[str, str]
"""An arm's label on each axis."""


@dataclass(frozen=True)
class Contrast:
    """An arm that is compared with a reference.

    Args:
        arm: Its name.
        reference: The name of the other.
        cell: The labels that both have on the other axes; empty where there are none, and for a pair.
        question: What contrasts in several cells have in common, such as "S+C against plain".
    """

    arm: str
    reference: str
    cell: str = ""
    question: str = ""

    def __str__(self) -> str:
        return f"{self.arm} against {self.reference}"


@dataclass(frozen=True)
class Design:
    """What is compared, and how.

    Args:
        against: Axes and, for each, the label of its reference; every other label is compared with it within each cell
            of the other axes.
        pairs: Names of an arm and of what it is compared with.
        metric: The primary one.
        margin: Differences below it do not matter; in the metric's unit. None where nothing is judged.
        checkpoint: The weights that are judged: of the last epoch, or of the highest val/acc1.
        paired: Whether runs of one seed are compared with each other; else arms as independent samples.
        looks: The numbers of seeds at which verdicts are made, ascending; the last is all that are planned.
        scope: Whether a verdict is about new seeds on this test set, or about new images too.
        intersect: Whether seeds that only some arms have are left out; else no verdict is made without them.
    """

    against: Mapping[str, str] = field(default_factory=dict)
    pairs: tuple[tuple[str, str], ...] = ()
    metric: Metric = METRICS["test/acc1"]
    margin: float | None = None
    checkpoint: Checkpoint = "last"
    paired: bool = True
    looks: tuple[int, ...] = ()
    scope: Scope = "seeds"
    intersect: bool = False

    def contrasts(self, arms: Mapping[str, Labels]) -> list[Contrast]:
        """List what is compared, in the order of the arms.

        Args:
            arms: The labels of each arm by its name.

        Raises:
            UserError: (a ValueError) if an axis, a label or an arm is not there.
        """
        found = []
        for name, reference in self.against.items():
            axis = axis_named(name, arms)
            label = _label(axis, reference, arms)
            found += [
                Contrast(arm, other, cell=" ".join(_rest(labels, axis)), question=f"{labels[axis]} against {label}")
                for arm, labels in arms.items()
                if axis in labels and labels[axis] != label
                for other, theirs in arms.items()
                if theirs.get(axis) == label and _rest(theirs, axis) == _rest(labels, axis)
            ]
        for pair in self.pairs:
            for name in pair:
                if name not in arms:
                    raise UserError(
                        f"`pairs` (={[*pair]!r}) names {name!r}, which is no arm{nearest(name, list(arms))}"
                    )
            found.append(Contrast(*pair, question=f"{pair[0]} against {pair[1]}"))
        return found

    def level(self, contrasts: int, look: int) -> float:
        """The level of one of a number of contrasts at a planned look, from 0: its share of .05."""
        return level_of_look(look, self.looks, ALPHA / contrasts)


def axis_named(name: str, arms: Mapping[str, Labels]) -> str:
    """The axis of a name, which may be the last word of its key; UserError if there is none."""
    axes = list(dict.fromkeys(axis for labels in arms.values() for axis in labels))
    for axis in axes:
        if name in (axis, axis.rpartition(".")[2]):
            return axis
    raise UserError(f"`contrasts` names the axis {name!r}, which is not there{nearest(name, axes)}")


def _label(axis: str, reference: str, arms: Mapping[str, Labels]) -> str:
    labels = list(dict.fromkeys(labels[axis] for labels in arms.values() if axis in labels))
    for label in labels:
        if reference in (label, label.partition("=")[2]):
            return label
    raise UserError(f"`contrasts` names the reference {reference!r}, which is no {axis}{nearest(reference, labels)}")


def _rest(labels: Labels, axis: str) -> Sequence[str]:
    return [label for other, label in labels.items() if other != axis]
