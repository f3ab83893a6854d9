"""The command `scconv-lab doctor`: what a run would stumble over, found before it starts."""

from scconv_lab.doctor.check import Check
from scconv_lab.doctor.command import run

__all__ = ["Check", "run"]
