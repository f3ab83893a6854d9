"""Shares out the devices of a machine among runs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch

from scconv_lab.errors import UserError


@dataclass(frozen=True)
class Place:
    """What a run has been given.

    Args:
        devices: Names of GPUs, or numbers of CPU workers.
        share: Of each of them.
    """

    devices: tuple[str, ...]
    share: Fraction


class Slots:
    """Devices, each of which takes one run, or several that have a share of it.

    Args:
        devices: Their names.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self._free = dict.fromkeys(devices, Fraction(1))

    def __len__(self) -> int:
        return len(self._free)

    def take(self, count: int, *, runs_each: int = 1) -> Place | None:
        """Give ``count`` devices, whole, or for a run of one device a ``runs_each``-th of it; None if none is free.

        Of several that have room the emptiest is given.
        """
        share = Fraction(1, runs_each if count == 1 else 1)
        fitting = sorted((device for device, free in self._free.items() if free >= share), key=self._taken)
        if len(fitting) < count:
            return None
        place = Place(tuple(fitting[:count]), share)
        for device in place.devices:
            self._free[device] -= share
        return place

    def give_back(self, place: Place) -> None:
        """Take back what a run was given."""
        for device in place.devices:
            self._free[device] += place.share

    def _taken(self, device: str) -> Fraction:
        return 1 - self._free[device]


def gpus(asked: str | None) -> list[str]:
    """The GPUs to use: those that are asked for, as "0,2", or all that are visible."""
    if asked is not None:
        names = [name.strip() for name in asked.split(",")]
        if not all(names) or len(set(names)) < len(names):
            raise UserError(f"--gpus {asked} must name GPUs as CUDA_VISIBLE_DEVICES does, such as 0,1, none twice")
        return names
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(index) for index in range(torch.cuda.device_count())]
    return _visible(visible)


def _visible(names: str) -> list[str]:
    """The GPUs that ``CUDA_VISIBLE_DEVICES`` names, as CUDA reads it: those before the first that is none.

    An index below 0, and what is neither an index nor a UUID such as "GPU-..." or "MIG-...", hides the rest.
    """
    found: list[str] = []
    for name in map(str.strip, names.split(",")):
        if name in found or not (name.isdecimal() or name.startswith(("GPU-", "MIG-"))):
            break
        found.append(name)
    return found


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
