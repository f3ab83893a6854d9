"""What a figure of accuracy against cost marks."""

import pytest

from scconv_lab.results.report.figures import pareto


@pytest.mark.parametrize(
    ("points", "best"),
    [
        ([(1, 90), (2, 91), (3, 92)], [0, 1, 2]),
        ([(1, 92), (2, 91), (3, 92)], [0]),
        ([(1, 90), (1, 91)], [1]),
        ([(1, 90), (1, 90)], [0, 1]),
        ([(2, 90)], [0]),
    ],
)
def test_what_no_other_beats(points: list[tuple[float, float]], best: list[int]) -> None:
    assert pareto(points, higher_is_better=True) == best
    assert pareto([(cost, -value) for cost, value in points], higher_is_better=False) == best
