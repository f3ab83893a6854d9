"""The command `scconv-lab cost`: what an experiment's net costs, and the paper's tables next to what is counted."""

from scconv_lab.cost.command import run

__all__ = ["run"]
