"""200 steps under each reading give the losses that are on file: a refactor that changes the numbers shows itself."""

import json

import pytest

from scconv_lab.nn import READINGS
from tests.full import others_in_full
from tests.training.golden import FILE, STEPS, machine, trace

GOLDEN = json.loads(FILE.read_text())
TOLERANCE = 1e-8
"""Relative, for another machine: see `test_a_rounding_error_stays_below_the_tolerance`."""


def test_every_reading_is_on_file() -> None:
    assert {reading: len(losses) for reading, losses in GOLDEN["losses"].items()} == dict.fromkeys(READINGS, STEPS)


@pytest.mark.parametrize("reading", READINGS)
def test_losses_are_those_on_file(reading: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit where the file was made, and within the tolerance elsewhere."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    losses, expected = trace(reading), GOLDEN["losses"][reading]
    assert losses == pytest.approx(expected, rel=TOLERANCE)
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    if machine() == GOLDEN["machine"]:
        assert losses == expected


@pytest.mark.slow
@pytest.mark.parametrize("reading", others_in_full([*READINGS], "paper"))
def test_a_rounding_error_stays_below_the_tolerance(reading: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """1e-13 in one weight, a hundred roundings, is not seen; 1e-6 is."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    losses = GOLDEN["losses"][reading]
    assert trace(reading, nudge=1e-13) == pytest.approx(losses, rel=TOLERANCE)
    assert trace(reading, nudge=1e-6) != pytest.approx(losses, rel=TOLERANCE)


def test_readings_differ() -> None:
    assert len({tuple(losses) for losses in GOLDEN["losses"].values()}) == len(READINGS)
