"""Pure tensor functions behind the units: torch only, no parameters of their own."""

from scconv_lab.ops.reference import (
    FUSIONS,
    GATE_INPUTS,
    GATE_MODES,
    NORMS,
    Fusion,
    GateInput,
    GateMode,
    Norm,
    cross_reconstruct,
    cru_fuse,
    fusion_weights,
    gate,
    gate_weights,
    group_normalize,
    sru,
)

__all__ = [
    "FUSIONS",
    "GATE_INPUTS",
    "GATE_MODES",
    "NORMS",
    "Fusion",
    "GateInput",
    "GateMode",
    "Norm",
    "cross_reconstruct",
    "cru_fuse",
    "fusion_weights",
    "gate",
    "gate_weights",
    "group_normalize",
    "sru",
]
