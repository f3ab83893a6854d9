"""Work beside the MACs: what the counter sees of single operators."""

import pytest
import torch
from torch import Tensor, nn

from scconv_lab.complexity import Work, count_work

N = 4 * 5 * 6  # elements of an image of (4, 5, 6)


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "work"),
    [
        (torch.relu, Work(pointwise=N, bytes_moved=8 * N)),
        (torch.relu_, Work(pointwise=N, bytes_moved=8 * N)),
        (lambda x: x + x, Work(pointwise=N, bytes_moved=12 * N)),
        (lambda x: x * 2, Work(pointwise=N, bytes_moved=8 * N)),
        (lambda x: x > 0, Work(pointwise=N, bytes_moved=5 * N)),
        (lambda x: x.sum(), Work(reductions=N, bytes_moved=4 * N)),
        (lambda x: x.mean((2, 3)), Work(reductions=N, bytes_moved=4 * N + 16)),
        (lambda x: x.softmax(1), Work(reductions=N, bytes_moved=8 * N)),
        (lambda x: x.roll(2, 1), Work(bytes_moved=8 * N)),
        (lambda x: torch.cat((x, x), 1), Work(bytes_moved=16 * N)),
        (lambda x: x.view(1, -1), Work()),
        (lambda x: x.chunk(2, 1)[0], Work()),
        (lambda x: x.permute(0, 2, 3, 1), Work()),
        (lambda x: x.permute(0, 2, 3, 1).contiguous(), Work(bytes_moved=8 * N)),
        (lambda x: x.to(torch.float64), Work(bytes_moved=12 * N)),
    ],
)
def test_a_function(function, work):
    assert count_work(Function(function), (4, 5, 6)) == work


@pytest.mark.parametrize(
    ("module", "work"),
    [
        (nn.BatchNorm2d(4), Work(normalisation=N, bytes_moved=8 * N + 4 * (16 + 8))),  # and two statistics, made anew
        (nn.GroupNorm(2, 4), Work(normalisation=N, bytes_moved=8 * N + 4 * (8 + 4))),
        (nn.AvgPool2d(5, 6), Work(reductions=N, bytes_moved=4 * N + 16)),
        (nn.AdaptiveAvgPool2d(1), Work(reductions=N, bytes_moved=4 * N + 16)),
        (nn.Conv2d(4, 2, 1), Work(bytes_moved=4 * (N + N // 2 + 10))),
        (nn.Sequential(nn.ReLU(), nn.ReLU()), Work(pointwise=2 * N, bytes_moved=16 * N)),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_module(module, work):
    assert count_work(module, (4, 5, 6)) == work


def test_half_precision_moves_half_the_bytes():
    net = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU())
    full, half = count_work(net, (4, 5, 6)), count_work(net.to(torch.bfloat16), (4, 5, 6))
    assert (half.pointwise, 2 * half.bytes_moved) == (full.pointwise, full.bytes_moved)


def test_work_adds_and_multiplies():
    one = Work(1, 2, 3, 4)
    assert one + one == 2 * one == one * 2 == Work(2, 4, 6, 8)
