"""What is measured: that it is measured right, not how fast this machine is."""

import copy
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from scconv_lab.complexity import measure as module
from scconv_lab.complexity.measure import Case, NotCompiledError, cases, device_name, find_device, measure, measure_all
from scconv_lab.errors import UserError
from scconv_lab.models import CifarResNet
from scconv_lab.nn import SRU
from scconv_lab.surgery import apply_surgery

CPU = torch.device("cpu")
INFERENCE = Case("fp32", "eager", "inference", 1)
TRAINING = Case("fp32", "eager", "training", 4)
COMPILED = [Case("fp32", "compiled", "inference", 2), Case("fp32", "compiled", "training", 2)]


class Clock:
    """Seconds that pass only while a `Timed` runs; sums of powers of two are exact."""

    now = 0.0


class Timed(nn.Module):
    """Takes a known time, which grows by ``more`` with each call."""

    def __init__(self, seconds: float, more: float = 0.0):
        super().__init__()
        self.seconds, self.more = seconds, more
        self.weight = nn.Parameter(torch.ones(1000, 2))

    def forward(self, x: Tensor) -> Tensor:
        Clock.now += self.seconds
        self.seconds += self.more
        return x.flatten(1)[:, :1] * self.weight[0]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "_SECONDS", 1 / 8)


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(Clock, "now", 0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: Clock.now))


@pytest.mark.parametrize("case", [INFERENCE, TRAINING], ids=str)
def test_times_are_those_of_a_step(case, clock):
    taken = measure(Timed(1 / 64), (3, 2, 2), case, device=CPU)
    assert taken.case == case
    assert (taken.p50_ms, taken.p95_ms, taken.iqr_ms) == (1e3 / 64, 1e3 / 64, 0)
    assert taken.images_per_s == 64 * case.batch_size
    assert taken.runs == 10
    assert dict.fromkeys(taken.figures()) == dict.fromkeys(
        ["p50_ms", "p95_ms", "iqr_ms", "images_per_s", "peak_memory_mb", "runs"]
    )
    assert str(case) in str(taken)


def test_a_short_step_runs_until_the_time_is_up(clock):
    assert measure(Timed(1 / 1024), (3, 2, 2), INFERENCE, device=CPU).runs == 128


def test_the_figures_are_quantiles_of_the_runs_after_those_to_warm_up(clock):
    """Steps of 1, 2, ... units of 1/1024 s: the first three warm up, and 4 to 16 take 130 of them."""
    taken = measure(Timed(1 / 1024, more=1 / 1024), (3, 2, 2), INFERENCE, device=CPU)
    assert taken.runs == 13
    units = [1.024 * value for value in (taken.p50_ms, taken.p95_ms, taken.iqr_ms)]
    assert units == pytest.approx([10, 15.4, 6])


def test_memory_holds_weights_momentum_and_gradients():
    net = nn.Sequential(nn.Flatten(), nn.Linear(1000, 1000, bias=False))
    weights = 4 * 1000 * 1000
    inference = measure(net, (10, 10, 10), INFERENCE, device=CPU).peak_memory_mb * 1e6
    training = measure(net, (10, 10, 10), TRAINING, device=CPU).peak_memory_mb * 1e6
    assert inference == pytest.approx(weights, rel=0.05)
    assert training == pytest.approx(3 * weights, rel=0.05)


@pytest.mark.parametrize("case", [INFERENCE, TRAINING], ids=str)
def test_nothing_of_the_callers_changes(case):
    net = CifarResNet(10, depth=8)
    apply_surgery(net, SRU, action="insert_after")
    before, state = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    measure(net, (3, 8, 8), case, device=CPU)
    assert torch.equal(torch.get_rng_state(), state)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_images_take_the_nets_memory_format():
    seen = []

    class Watched(CifarResNet):
        def forward(self, x: Tensor) -> Tensor:
            seen.append((x.is_contiguous(memory_format=torch.channels_last), self.training, torch.is_grad_enabled()))
            return super().forward(x)

    measure(Watched(10, depth=8).to(memory_format=torch.channels_last), (3, 8, 8), TRAINING, device=CPU)
    assert set(seen) == {(True, True, True)}
    seen.clear()
    measure(Watched(10, depth=8), (3, 8, 8), Case("fp32", "eager", "inference", 2), device=CPU)
    assert set(seen) == {(False, False, False)}


def test_half_precision_is_autocasts():
    seen = set()

    class Watched(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            logits = super().forward(x)
            seen.add(logits.dtype)
            return logits

    net = Watched(nn.Flatten(), nn.Linear(12, 4))
    measure(net, (3, 2, 2), Case("bf16", "eager", "training", 2), device=CPU)
    assert seen == {torch.bfloat16}


def test_a_batch_that_does_not_do_is_the_users_mistake():
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12))
    message = r"fp32 eager training, batch 1 cannot be measured \(Expected more than 1 value .*another --batch-size"
    with pytest.raises(UserError, match=message):
        measure(net, (3, 2, 2), Case("fp32", "eager", "training", 1), device=CPU)

    class Huge(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(UserError, match=r"batch 1 cannot be measured \(CUDA out of memory\)"):
        measure(Huge(), (3, 2, 2), INFERENCE, device=CPU)


@pytest.mark.parametrize(("has_bf16", "count"), [(False, 6), (True, 12)])
def test_cases_of_a_device(monkeypatch, has_bf16, count):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has_bf16)
    listed = cases(CPU, 32)
    assert len(listed) == len(set(listed)) == count
    assert Case("fp32", "compiled", "training", 32) in listed
    assert Case("bf16", "eager", "inference", 1) in listed or not has_bf16
    assert len(cases(CPU, 1)) == count * 2 // 3  # a batch of 1 is not measured twice


def test_what_cannot_be_compiled_is_left_out_with_a_warning(monkeypatch):
    def refuse(net, shape, case, *, device):
        if case.execution == "compiled":
            raise NotCompiledError("there is no compiler")
        return case

    monkeypatch.setattr(module, "measure", refuse)
    monkeypatch.setattr(module, "cases", lambda device, batch_size: [INFERENCE, COMPILED[1]])
    named = []
    with pytest.warns(UserWarning, match="fp32 compiled training, batch 2 is not measured.*there is no compiler"):
        kept = list(measure_all(nn.Identity(), (3, 2, 2), device=CPU, batch_size=2, progress=named.append))
    assert kept == [INFERENCE]
    assert named == ["measuring fp32 eager inference, batch 1", "measuring fp32 compiled training, batch 2"]


@pytest.mark.slow
@pytest.mark.parametrize("case", COMPILED, ids=str)
def test_compiled_code_is_what_runs(case, monkeypatch):
    compiled = []
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda net, **how: compiled.append(how) or compile_(net, **how))
    net = nn.Sequential(nn.Conv2d(3, 8, 3), SRU(8), nn.Flatten())
    taken = measure(net, (3, 6, 6), case, device=CPU)
    assert compiled == [{"dynamic": False}]
    assert taken.p50_ms > 0
    assert taken.peak_memory_mb > 0


@pytest.mark.slow
def test_a_compiler_that_is_not_there_is_named():
    program = """
import torch
from scconv_lab.complexity.measure import Case, NotCompiledError, measure
try:
    measure(torch.nn.Conv2d(3, 8, 3), (3, 6, 6), Case("fp32", "compiled", "inference", 1), device=torch.device("cpu"))
except NotCompiledError as error:
    print(error)
"""
    environment = os.environ | {"CXX": "/nonexistent", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
    finished = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert "No working C++ compiler found" in finished.stdout
    assert len(finished.stdout.splitlines()) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("case", cases(torch.device("cuda"), 8) if torch.cuda.is_available() else [INFERENCE], ids=str)
def test_on_a_gpu(case):
    taken = measure(CifarResNet(10, depth=8), (3, 32, 32), case, device=torch.device("cuda"))
    assert taken.p50_ms > 0
    assert taken.peak_memory_mb > 0


def test_devices():
    assert find_device("cpu") == CPU
    for name in ("tpu", "cuda:x", "CPU", ""):
        with pytest.raises(UserError, match=rf"--device {name} is not known; choose cpu, cuda"):
            find_device(name)


def test_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="--device cuda: torch finds no CUDA device here; choose cpu"):
        find_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UserError, match="--device cuda:2: there are 2 CUDA devices, counted from 0"):
        find_device("cuda:2")


def test_the_name_of_a_cpu_tells_its_threads():
    assert device_name(CPU).endswith(f"{torch.backends.cpu.get_cpu_capability()}, 1 thread")
