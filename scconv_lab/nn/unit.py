"""What all units have in common, and the checks of their arguments."""

from collections.abc import Sequence
from numbers import Integral

from torch import nn

from scconv_lab.errors import UserError


class Unit(nn.Module):
    """A module that keeps the shape of its input.

    The law: ``Unit(channels, *, ...)`` maps (B, channels, H, W) to (B, channels, H, W), so that a factory
    ``channels -> Unit`` can stand at any place of any net.
    """


def require_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise UserError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise UserError(f"`{name}` (={value!r}) must be one of {', '.join(map(repr, choices))}")


def require_positive(name: str, value: int) -> None:
    """Raise UserError unless ``value`` is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise UserError(f"`{name}` (={value!r}) must be a whole number of at least 1")


def divisors(*numbers: int) -> list[int]:
    """The common divisors of positive whole numbers, ascending."""
    return [d for d in range(1, min(numbers) + 1) if all(number % d == 0 for number in numbers)]


def choose_one_of(values: Sequence[object], *, shown: int = 8) -> str:
    """The end of a message that offers the values that would fit, shortened to the first ``shown``."""
    listed = ", ".join(map(str, values[:shown]))
    return f"choose one of {listed}{', ...' if len(values) > shown else ''}"
