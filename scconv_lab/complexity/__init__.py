"""What a net costs: counted params, MACs, FLOPs and point-wise work, measured latency, throughput and memory."""

from scconv_lab.complexity.counters import OperatorCount, compare_counters
from scconv_lab.complexity.layers import layer_summary
from scconv_lab.complexity.macs import count_macs
from scconv_lab.complexity.params import PARTS, count_params, count_trainable, params_by_part
from scconv_lab.complexity.report import Cost, UnitCost, count_cost
from scconv_lab.complexity.work import Work, count_work, least_bytes

__all__ = [
    "PARTS",
    "Cost",
    "OperatorCount",
    "UnitCost",
    "Work",
    "compare_counters",
    "count_cost",
    "count_macs",
    "count_params",
    "count_trainable",
    "count_work",
    "layer_summary",
    "least_bytes",
    "params_by_part",
]
