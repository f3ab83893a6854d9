"""Puts units into any built net: where (sites), how (edit, adapt), and what to watch for (preflight)."""

from scconv_lab.surgery.adapt import ChannelPolicy, DilationPolicy, KernelPolicy, StridePolicy
from scconv_lab.surgery.edit import Action, apply_surgery
from scconv_lab.surgery.preflight import named_sites, preflight
from scconv_lab.surgery.report import Edit, SurgeryReport
from scconv_lab.surgery.sites import PAPER, Selector, Site, select_sites

__all__ = [
    "PAPER",
    "Action",
    "ChannelPolicy",
    "DilationPolicy",
    "Edit",
    "KernelPolicy",
    "Selector",
    "Site",
    "StridePolicy",
    "SurgeryReport",
    "apply_surgery",
    "named_sites",
    "preflight",
    "select_sites",
]
