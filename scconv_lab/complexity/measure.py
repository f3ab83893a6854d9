"""Measures latency, throughput and memory of a net, eager and compiled."""

import copy
import logging
import platform
import re
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException
from torch.optim import Optimizer

from scconv_lab.complexity.memory import peak_bytes
from scconv_lab.errors import UserError
from scconv_lab.messages import first_line

Precision = Literal["fp32", "bf16"]
Execution = Literal["eager", "compiled"]
Step = Literal["inference", "training"]

_MIN_RUNS, _SECONDS, _WARM_UP = 10, 2.0, 3
_LARGEST_KEPT = 31 * 2**20
"""Bytes just below the largest block that glibc can be brought to keep when it is freed (32 MiB)."""


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
        precision: "fp32", or "bf16" by autocast.
        execution: "eager", or "compiled" by torch.compile with its defaults and static shapes.
        step: "inference" is a forward pass in evaluation mode without gradients; "training" is forward, cross-entropy,
            backward and an SGD step with momentum.
        batch_size: Images in the step.
    """

    precision: Precision
    execution: Execution
    step: Step
    batch_size: int

    def __str__(self) -> str:
        return f"{self.precision} {self.execution} {self.step}, batch {self.batch_size}"


@dataclass(frozen=True)
class Measurement:
    """What one case took.

    Attributes:
        case: What was measured.
        p50_ms: Median of the runs' times, in milliseconds.
        p95_ms: Their 95th percentile.
        iqr_ms: Their spread: the distance of the quartiles.
        images_per_s: Images in a second, at the median.
        peak_memory_mb: Most bytes of tensors alive at a time, in 1,000,000, weights and optimizer state included.
        runs: How many runs were timed.
    """

    case: Case
    p50_ms: float
    p95_ms: float
    iqr_ms: float
    images_per_s: float
    peak_memory_mb: float
    runs: int

    def figures(self) -> dict[str, float]:
        """Every figure by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "case"}

    def __str__(self) -> str:
        times = f"P50 {self.p50_ms:.3g} ms, P95 {self.p95_ms:.3g} ms, {self.images_per_s:,.0f} images/s"
        return f"{self.case}: {times}, peak {self.peak_memory_mb:,.1f} MB"

    def rows(self) -> Iterator[tuple[str, str, str, float]]:
        """Every figure as (part, name, figure, value), as `scconv_lab.complexity.Cost.rows` has them."""
        yield from (("measured", str(self.case), figure, value) for figure, value in self.figures().items())


def device_name(device: torch.device) -> str:
    """The name of a device; of a CPU with its vector instructions and the threads in use."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")  # Linux; platform.processor() is empty there
    models = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.M) if cpuinfo.is_file() else []
    model = models[0] if models else platform.processor() or platform.machine()
    threads = torch.get_num_threads()
    return f"{model}, {torch.backends.cpu.get_cpu_capability()}, {threads} thread{'s' * (threads != 1)}"


def find_device(name: str) -> torch.device:
    """Give the device of that name, or raise UserError if there is none here."""
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
        raise UserError(f"--device {name} is not known; choose cpu, cuda, or cuda:1 and so on")
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--device {name}: torch finds no CUDA device here; choose cpu")
    if kind == "cuda" and index and int(index) >= torch.cuda.device_count():
        raise UserError(f"--device {name}: there are {torch.cuda.device_count()} CUDA devices, counted from 0")
    return torch.device(name)


def cases(device: torch.device, batch_size: int) -> list[Case]:
    """List what is measured on a device: bf16 only where its hardware computes in it."""
    has_bf16 = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.ops.mkldnn._is_mkldnn_bf16_supported()
    precisions: list[Precision] = ["fp32", "bf16"] if has_bf16 else ["fp32"]
    executions: list[Execution] = ["eager", "compiled"]
    steps: list[tuple[Step, int]] = [("inference", 1), ("inference", batch_size), ("training", batch_size)]
    return [
        Case(precision, execution, step, size)
        for precision in precisions
        for execution in executions
        for step, size in dict.fromkeys(steps)
    ]


class NotCompiledError(RuntimeError):
    """torch.compile gave up: there is no compiler here, or the net has something that it cannot take."""


def measure_all(
    net: nn.Module,
    image_shape: tuple[int, int, int],
    *,
    device: torch.device,
    batch_size: int,
    progress: Callable[[str], None] = lambda name: None,
) -> Iterator[Measurement]:
    """Measure all `cases` of a device; what torch.compile cannot compile there is left out, with a warning.

    Args:
        net: Maps (B, C, H, W) to logits (B, num_classes).
        image_shape: C, H and W of an image.
        device: Where.
        batch_size: Images in a batch; 1 is measured too.
        progress: Called with the name of each case before it.
    """
    for case in cases(device, batch_size):
        progress(f"measuring {case}")
        try:
            yield measure(net, image_shape, case, device=device)
        except NotCompiledError as error:
            warnings.warn(f"{case} is not measured, torch.compile gave up: {error}", stacklevel=2)


def measure(net: nn.Module, image_shape: tuple[int, int, int], case: Case, *, device: torch.device) -> Measurement:
    """Time the steps of one case on random images: at least 10 runs and 2 seconds, after 3 runs to warm up.

    On a copy of the net, whose memory format the images take over. The learning rate of a training step is 0, which
    takes as long as any other and leaves the weights where they are. Neither the net nor the random numbers of the
    caller change. On a CPU the allocator keeps freed memory, as it comes to do in a process that has run for a while;
    until then every operator pays for fresh pages.

    Args:
        net: Maps (B, C, H, W) to logits (B, num_classes).
        image_shape: C, H and W of an image.
        case: What to measure.
        device: Where.

    Raises:
        UserError: (a ValueError) if the batch is too large for the device, or too small for a batch norm.
        NotCompiledError: if torch.compile cannot compile the net here.
    """
    torch.empty(_LARGEST_KEPT, dtype=torch.uint8)  # freed at once: else glibc gives pages back between operators
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        net = copy.deepcopy(net).to(device).train(case.step == "training")
        images = torch.randn(case.batch_size, *image_shape, device=device)
        if any(weight.dim() == 4 and not weight.is_contiguous() for weight in net.parameters()):
            images = images.to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.0, momentum=0.9) if case.step == "training" else None
        step = _step(net, images, optimizer, case)
        try:
            times = _times(step, device)
        except TorchDynamoException as error:
            raise NotCompiledError(first_line(error)) from error
        except (ValueError, torch.OutOfMemoryError) as error:  # a batch norm's, of one value a channel
            reason = first_line(error)
            raise UserError(f"{case} cannot be measured ({reason}); choose another --batch-size or image") from error
        peak = peak_bytes(step, device=device, held=_bytes(net, images, optimizer))
    torch.compiler.reset()
    first, median, third = statistics.quantiles(times, n=4, method="inclusive")
    return Measurement(
        case=case,
        p50_ms=1e3 * median,
        p95_ms=1e3 * statistics.quantiles(times, n=20, method="inclusive")[-1],
        iqr_ms=1e3 * (third - first),
        images_per_s=case.batch_size / median,
        peak_memory_mb=peak / 1e6,
        runs=len(times),
    )


def _step(net: nn.Module, images: Tensor, optimizer: Optimizer | None, case: Case) -> Callable[[], None]:
    """A step that frees all that it makes."""
    call: Callable[[Tensor], Tensor] = net
    if case.execution == "compiled":
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # warns where there is no GPU
        call = torch.compile(net, dynamic=False)
    labels = torch.zeros(len(images), dtype=torch.long, device=images.device)
    autocast = torch.autocast(images.device.type, torch.bfloat16, case.precision == "bf16")

    def infer() -> None:
        with torch.no_grad(), autocast:
            call(images)

    def train() -> None:
        assert optimizer is not None
        with autocast:
            logits = call(images)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return infer if optimizer is None else train


def _times(step: Callable[[], None], device: torch.device) -> list[float]:
    """Seconds of each run, as the host sees them: a GPU has finished its work when the clock is read."""
    for _ in range(_WARM_UP):
        _timed(step, device)
    times: list[float] = []
    while len(times) < _MIN_RUNS or sum(times) < _SECONDS:
        times.append(_timed(step, device))
    return times


def _timed(step: Callable[[], None], device: torch.device) -> float:
    before = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - before


def _bytes(net: nn.Module, images: Tensor, optimizer: Optimizer | None) -> int:
    states = optimizer.state.values() if optimizer else ()
    held = [*net.parameters(), *net.buffers(), images]
    held += [value for state in states for value in state.values() if isinstance(value, Tensor)]
    return sum(tensor.nbytes for tensor in held)
