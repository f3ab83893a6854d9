"""What the lab's messages have in common: checks of an argument, and the offer at the end."""

import difflib
from collections.abc import Sequence
from numbers import Integral, Real

from scconv_lab.errors import UserError

_LIKENESS = 0.65
_MOST_LISTED = 16


def nearest(word: str, choices: Sequence[str]) -> str:
    """The end of a message that offers the choice most like ``word``, or all of a few choices."""
    matches = difflib.get_close_matches(word, choices, n=1, cutoff=_LIKENESS)
    if matches:
        return f"; did you mean {matches[0]!r}?"
    return f"; choose one of {', '.join(sorted(choices))}" if 0 < len(choices) <= _MOST_LISTED else ""


def choose_one_of(values: Sequence[object], *, shown: int = 8) -> str:
    """The end of a message that offers the values that would fit, shortened to the first ``shown``."""
    listed = ", ".join(map(str, values[:shown]))
    return f"choose {'one of ' * (len(values) > 1)}{listed}{', ...' if len(values) > shown else ''}"


def require_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise UserError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise UserError(f"`{name}` (={value!r}) must be one of {', '.join(map(repr, choices))}")


def require_positive(name: str, value: int) -> None:
    """Raise UserError unless ``value`` is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise UserError(f"`{name}` (={value!r}) must be a whole number of at least 1")


def is_number(value: object) -> bool:
    """Whether a value is a real number, and no boolean."""
    return isinstance(value, Real) and not isinstance(value, bool)


def require_between(name: str, value: float, low: float, high: float, why: str) -> None:
    """Raise UserError unless ``value`` is a number between two others, both excluded."""
    if not is_number(value) or not low < value < high:
        raise UserError(f"`{name}` (={value!r}) must lie between {low} and {high}, both excluded: {why}")


def first_line(error: BaseException, *, otherwise: str = "no reason given") -> str:
    """The first line of what an exception says, or ``otherwise`` where it says nothing, as a bare ``assert`` does."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip() if lines else otherwise
