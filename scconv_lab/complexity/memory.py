"""Measures the memory of a step."""

import json
import os
import tempfile
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

_SILENT = "99"


def peak_bytes(step: Callable[[], object], *, device: torch.device, held: int) -> int:
    """Run a step once and give the most bytes of tensors that were alive at a time.

    On CUDA the allocator's own maximum; elsewhere from the profiler's record of what the CPU allocator gave and took
    back, which sees what compiled code and libraries ask of torch, and nothing that they allocate by themselves.

    Args:
        step: What to run; all that it allocates it has to free again, and nothing else. Warm: first runs allocate more.
        device: Where the step runs.
        held: Bytes that are alive before it: weights, optimizer state, images. CUDA's allocator knows them itself.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    os.environ.setdefault("KINETO_LOG_LEVEL", _SILENT)  # the profiler complains to stderr where there is no GPU
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_bytes())["traceEvents"]
    changes = [(event["ts"], event["args"]["Bytes"]) for event in events if event["name"] == "[memory]"]
    return held + max(accumulate((change for _, change in sorted(changes)), initial=0))
