"""Reads what a sweep sets out to show: its contrasts, and the rule by which they are judged."""

from collections.abc import Mapping
from typing import Any

from scconv_lab.errors import UserError
from scconv_lab.grid.reader import Reader
from scconv_lab.verdicts.design import Design
from scconv_lab.verdicts.metrics import metric_named

KEYS = (
    *("contrasts", "pairs", "metric", "margin", "checkpoint", "design", "looks", "scope", "missing"),
    *("more_seeds", "sd"),
)
"""The keys of a sweep's file that say so."""


def read_design(reader: Reader, content: Mapping[str, Any], seeds: int) -> Design:
    """Read the design of a sweep.

    Keys: ``contrasts``, ``{axis: AXIS, reference: LABEL}`` or a list of those, each label of the axis against the
    reference within every cell of the other axes; ``pairs``, a list of ``[ARM, ARM]``, each the first against the
    second; ``metric``, test/acc1 if left out; ``margin``, in the metric's unit (points of per cent for accuracies), the
    least difference that matters, which a sweep with contrasts or pairs needs; ``checkpoint``, last (default) or best;
    ``design``, paired by seed (default) or independent; ``looks``, the numbers of seeds at which verdicts are made, the
    last of which is all (default: only that); ``scope``, seeds (default) or images; ``missing``, refuse (default) or
    intersect: what becomes of seeds that only some arms have.

    Args:
        reader: Of the file.
        content: The file's.
        seeds: How many it has.

    Raises:
        UserError: (a ValueError) naming file and key.
    """
    against = _contrasts(reader, content.get("contrasts"))
    pairs = tuple(
        _pair(reader, f"pairs[{i}]", pair) for i, pair in enumerate(reader.listed("pairs", content.get("pairs"), list))
    )
    margin = content.get("margin")
    if (against or pairs) and margin is None:
        raise UserError(
            f"{reader.path}: `margin` is missing; contrasts are judged by the least difference that matters, such as "
            "`margin: 0.5` for half a point of accuracy"
        )

    def chosen(key: str, first: str, second: str) -> Any:
        """The first if it is left out."""
        return reader.chosen(key, content.get(key, first), (first, second))

    return Design(
        against=against,
        pairs=pairs,
        metric=metric_named(content.get("metric", "test/acc1"), key=f"{reader.path}: `metric`"),
        margin=reader.positive("margin", margin) if margin is not None else None,
        checkpoint=chosen("checkpoint", "last", "best"),
        paired=chosen("design", "paired", "independent") == "paired",
        looks=_looks(reader, content.get("looks"), seeds),
        scope=chosen("scope", "seeds", "images"),
        intersect=chosen("missing", "refuse", "intersect") == "intersect",
    )


def _contrasts(reader: Reader, given: Any) -> dict[str, str]:
    if given is None:
        return {}
    found: dict[str, str] = {}
    for index, contrast in enumerate(given if isinstance(given, list) else [given]):
        key = f"contrasts[{index}]" if isinstance(given, list) else "contrasts"
        if set(reader.typed(key, contrast, dict)) != {"axis", "reference"}:
            raise UserError(f"{reader.path}: `{key}` (={contrast!r}) must be {{axis: AXIS, reference: LABEL}}")
        axis = reader.typed(f"{key}.axis", contrast["axis"], str)
        if axis in found:
            raise UserError(
                f"{reader.path}: `{key}.axis` (={axis!r}) is there twice; use `pairs` for a second reference"
            )
        found[axis] = str(contrast["reference"])
    return found


def _pair(reader: Reader, key: str, given: list[Any]) -> tuple[str, str]:
    if len(given) != 2 or given[0] == given[1]:
        raise UserError(f"{reader.path}: `{key}` (={given!r}) must be two arms, the first compared with the second")
    return str(given[0]), str(given[1])


def _looks(reader: Reader, given: Any, seeds: int) -> tuple[int, ...]:
    looks = tuple(reader.listed("looks", given if given is not None else [seeds], int))
    if sorted(set(looks)) != [*looks] or not looks or looks[-1] != seeds or (given is not None and looks[0] < 2):
        raise UserError(
            f"{reader.path}: `looks` (={[*looks]}) must be numbers of seeds from 2, ascending, the last of them "
            f"{seeds}, as many as `seeds` has"
        )
    return looks
