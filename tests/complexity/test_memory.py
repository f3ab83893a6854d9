"""Peak memory against sizes that are known beforehand."""

import pytest
import torch

from scconv_lab.complexity.memory import peak_bytes

MEGABYTE = 2**20 // 4  # fp32 values


def peak(step, device="cpu", held=0):
    step()
    return peak_bytes(step, device=torch.device(device), held=held)


def test_what_is_alive_at_a_time_counts_together():
    def step():
        first = torch.ones(MEGABYTE)
        second = torch.ones(2 * MEGABYTE)
        return float(first[0] + second[0])

    assert peak(step) == pytest.approx(3 * 2**20, rel=0.001)


def test_what_is_freed_in_between_does_not():
    def step():
        for size in (1, 4, 2):
            torch.ones(size * MEGABYTE)

    assert peak(step) == pytest.approx(4 * 2**20, rel=0.001)


def test_what_is_held_is_added():
    assert peak(lambda: torch.ones(MEGABYTE).sum(), held=1000) == pytest.approx(2**20 + 1000, rel=0.001)


def test_activations_wait_for_the_backward_pass():
    weight = torch.ones(MEGABYTE, requires_grad=True)

    def step():
        weight.sigmoid().sigmoid().sigmoid().sum().backward()
        weight.grad = None

    def infer():
        with torch.no_grad():
            weight.sigmoid().sigmoid().sigmoid().sum()

    assert peak(infer) == pytest.approx(2 * 2**20, rel=0.001)
    assert 4 * 2**20 < peak(step) < 6.1 * 2**20  # three outputs and up to two gradients


def test_nothing_goes_to_the_terminal(capfd):
    peak(lambda: torch.ones(10))
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_allocator_says():
    kept = torch.ones(MEGABYTE, device="cuda")
    before = torch.cuda.memory_allocated()

    def step():
        return float((kept + torch.ones(2 * MEGABYTE, device="cuda")[:MEGABYTE]).sum())

    assert peak(step, "cuda") == pytest.approx(before + 3 * 2**20, rel=0.01)
