"""Puts units into any built net: where (sites), how (edit), and what a strided convolution becomes (adapt)."""

from scconv_lab.surgery.adapt import StridePolicy
from scconv_lab.surgery.edit import Action, apply_surgery
from scconv_lab.surgery.report import Edit, SurgeryReport
from scconv_lab.surgery.sites import PAPER, select_sites

__all__ = ["PAPER", "Action", "Edit", "StridePolicy", "SurgeryReport", "apply_surgery", "select_sites"]
