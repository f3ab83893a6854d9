"""Alpha, shared over planned looks."""

import numpy as np
import pytest

from scconv_lab.verdicts.looks import level_of_look
from scconv_lab.verdicts.rule import paired


@pytest.mark.parametrize("looks", [[8], [5, 10], [3, 5, 8, 10, 20]])
def test_the_shares_sum_to_alpha_and_grow(looks: list[int]) -> None:
    shares = [level_of_look(look, looks, 0.05) for look in range(len(looks))]
    assert sum(shares) == pytest.approx(0.05)
    assert shares == sorted(shares)


def test_the_function_is_o_brien_and_flemings() -> None:
    """Lan and DeMets 1983: at half of the information .0056 of .05 are spent."""
    assert level_of_look(0, [5, 10], 0.05) == pytest.approx(0.00557, abs=1e-5)


def test_looking_twice_errs_no_more_often_than_once() -> None:
    """A second look at the full level each time errs in about 8 %."""
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(3000, 2, 10))
    levels = [level_of_look(look, [5, 10], 0.05) for look in range(2)]
    shared = [
        any(paired(a[:n], b[:n]).p_value() < level for n, level in zip((5, 10), levels, strict=True))
        for a, b in samples
    ]
    full = [any(paired(a[:n], b[:n]).p_value() < 0.05 for n in (5, 10)) for a, b in samples]
    assert np.mean(shared) <= 0.05 + 3 * (0.05 * 0.95 / 3000) ** 0.5
    assert np.mean(full) > 0.065
