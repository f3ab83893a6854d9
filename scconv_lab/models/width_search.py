"""Finds the widths of a net's stages that meet a budget."""

from collections.abc import Callable
from itertools import product

Widths = tuple[int, ...]
"""Channels of each stage."""

NEAR_ENOUGH = 0.001
"""The share of a budget by which widths may miss it and still be preferred for keeping their ratio."""

_STEPS = (-2, -1, 0, 1, 2)


def nearest_widths(cost: Callable[[Widths], int], base: Widths, budget: int) -> Widths:
    """Find the widths nearest to a budget among those nearly in the ratio of ``base``.

    Scales all stages alike by bisection, then tries every change of the stages by up to two channels. Of widths within
    0.1 % of the budget, and of equally near ones, it takes those that were changed least.

    Args:
        cost: What widths cost; it must grow with each.
        base: The widths of scale 1.
        budget: The cost to meet.
    """

    def scaled(scale: float) -> Widths:
        return tuple(max(1, round(width * scale)) for width in base)

    low, high = 0.0, 1.0
    while cost(scaled(high)) < budget:
        low, high = high, 2 * high
    while scaled(low) != scaled(high) and high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if cost(scaled(middle)) < budget else (low, middle)

    start = min((scaled(low), scaled(high)), key=lambda widths: abs(cost(widths) - budget))

    def missed_by(widths: Widths) -> tuple[float, float]:
        changed = sum(abs(width - before) / before for width, before in zip(widths, start, strict=True))
        return max(abs(cost(widths) - budget), NEAR_ENOUGH * budget), changed

    changes = product(_STEPS, repeat=len(base))
    near = (tuple(max(1, a + b) for a, b in zip(start, change, strict=True)) for change in changes)
    return min(near, key=missed_by)
