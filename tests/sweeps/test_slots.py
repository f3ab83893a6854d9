"""Devices are shared out whole, in parts, and never twice."""

from fractions import Fraction

import pytest

from scconv_lab.errors import UserError
from scconv_lab.sweeps.slots import Slots, gpus


def test_whole_devices_are_given_until_none_is_left() -> None:
    slots = Slots(["0", "1", "2"])
    first, second = slots.take(1), slots.take(2)
    assert first is not None
    assert second is not None
    assert sorted(first.devices + second.devices) == ["0", "1", "2"]
    assert slots.take(1) is None
    slots.give_back(second)
    assert slots.take(3) is None
    assert slots.take(2) == second


def test_packed_runs_spread_before_they_share() -> None:
    slots = Slots(["0", "1"])
    places = [slots.take(1, runs_each=3) for _ in range(6)]
    assert [place.devices for place in places if place] == [("0",), ("1",)] * 3
    assert {place.share for place in places if place} == {Fraction(1, 3)}
    assert slots.take(1, runs_each=3) is None


def test_a_run_of_several_takes_them_whole_beside_packed_ones() -> None:
    slots = Slots(["0", "1", "2"])
    packed = slots.take(1, runs_each=2)
    several = slots.take(2, runs_each=2)
    assert packed is not None
    assert several is not None
    assert (packed.devices, several.devices, several.share) == (("0",), ("1", "2"), 1)
    assert slots.take(1) is None
    assert slots.take(1, runs_each=2) == packed


def test_gpus_are_those_asked_for_or_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpus("0, 3") == ["0", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert gpus(None) == ["2", "5"]
    for visible, seen in (
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("1,-1,2", ["1"]),
        (" 0 , GPU-8a ", ["0", "GPU-8a"]),
    ):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert gpus(None) == seen
    for wrong in ("", "0,", "1,1"):
        with pytest.raises(UserError, match=f"--gpus {wrong} must name GPUs"):
            gpus(wrong)
