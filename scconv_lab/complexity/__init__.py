"""What a net costs, counted: parameters, MACs, FLOPs."""

from scconv_lab.complexity.macs import count_macs
from scconv_lab.complexity.params import count_params

__all__ = ["count_macs", "count_params"]
