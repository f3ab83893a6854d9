"""The units: modules that map (B, C, H, W) to (B, C, H, W)."""

from scconv_lab.nn.controls import SE, DepthwiseSeparableConv, GroupConv
from scconv_lab.nn.convert import convert_public_state_dict, holds_public_units
from scconv_lab.nn.cru import CRU
from scconv_lab.nn.scconv import READINGS, ScConv
from scconv_lab.nn.sru import SRU
from scconv_lab.nn.sru_controls import RandomGateSRU, ShuffledGammaSRU, UngatedSRU
from scconv_lab.nn.unit import Unit

__all__ = [
    "CRU",
    "READINGS",
    "SE",
    "SRU",
    "DepthwiseSeparableConv",
    "GroupConv",
    "RandomGateSRU",
    "ScConv",
    "ShuffledGammaSRU",
    "UngatedSRU",
    "Unit",
    "convert_public_state_dict",
    "holds_public_units",
]
