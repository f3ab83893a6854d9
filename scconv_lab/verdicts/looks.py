"""How the error is shared over the planned looks at the results, where seeds are added between them."""

from collections.abc import Sequence

from scipy import stats


def level_of_look(look: int, looks: Sequence[int], alpha: float) -> float:
    """The share of ``alpha`` that one look may spend.

    By O'Brien and Fleming's spending function (Lan and DeMets 1983), 2 - 2 Phi(z(alpha / 2) / sqrt(t)) at the share t
    of the planned seeds; a look gets what it adds. The shares sum to ``alpha``, which bounds the error whatever the
    distribution, and little is spent early.

    Args:
        look: Which look, from 0.
        looks: The planned numbers of seeds, ascending.
        alpha: The error of all looks together.
    """
    spent = [_spent(seeds / looks[-1], alpha) for seeds in looks]
    return spent[look] - (spent[look - 1] if look else 0.0)


def _spent(share: float, alpha: float) -> float:
    return float(2 * stats.norm.sf(stats.norm.isf(alpha / 2) / share**0.5))
