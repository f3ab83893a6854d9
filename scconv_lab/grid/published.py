"""What a paper has for the arms of a sweep, shown beside runs of the same net, data and length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scconv_lab.errors import UserError
from scconv_lab.grid.reader import Reader

_NEEDED = {"source", "data", "epochs", "values"}


@dataclass(frozen=True)
class Published:
    """Values of a paper.

    Args:
        source: Where they stand.
        data: The class of the data module.
        epochs: How many a run has.
        values: In the metric's unit, by the arm's name.
    """

    source: str
    data: Sequence[str]
    epochs: int
    values: Mapping[str, float]

    def of(self, results: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
        """The values, if there are runs and all are of this data and length; else none."""
        there = [each for each in results if each]
        same = all(each.get("data") in self.data and each.get("epochs") == self.epochs for each in there)
        return self.values if there and same else {}


def read_published(reader: Reader, given: Any) -> Published | None:
    """Read ``published: {source, data, epochs, values: {ARM: VALUE}}``; None if it is left out.

    Raises:
        UserError: (a ValueError) naming file and key.
    """
    if given is None:
        return None
    if set(reader.typed("published", given, dict)) != _NEEDED:
        raise UserError(
            f"{reader.path}: `published` must have {', '.join(sorted(_NEEDED))}; it has {', '.join(map(str, given))}"
        )
    data = given["data"]
    values = reader.typed("published.values", given["values"], dict)
    return Published(
        source=reader.typed("published.source", given["source"], str),
        data=reader.listed("published.data", data if isinstance(data, list) else [data], str),
        epochs=reader.count("published.epochs", given["epochs"]),
        values={str(arm): reader.positive(f"published.values.{arm}", value) for arm, value in values.items()},
    )
