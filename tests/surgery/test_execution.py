"""A net after surgery in other memory formats, in bf16 under autocast, and compiled."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from scconv_lab.models import CifarResNet
from scconv_lab.nn import READINGS, ScConv
from scconv_lab.surgery import apply_surgery

each_reading = pytest.mark.parametrize("reading", READINGS)


def operated(reading):
    torch.manual_seed(0)
    net = CifarResNet(10, depth=8)
    apply_surgery(net, partial(ScConv, **READINGS[reading]))
    return net


def run(net, x, *, bf16=False):
    """The output of a training step, and the gradients of the input and of all parameters."""
    torch.manual_seed(1)
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        y = net(x)
    torch.nn.functional.cross_entropy(y.float(), torch.arange(len(x)) % 10).backward()
    grads = {f"gradient of {name.removeprefix('_orig_mod.')}": p.grad.clone() for name, p in net.named_parameters()}
    net.zero_grad()
    return {"output": y.detach(), "gradient of the input": x.grad} | grads


def images(count=16, size=16):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def few_images():
    """So few values that none lies so near to a gate's threshold that fp32 rounding moves it across."""
    return images(4, 8)


def distance(values, expected):
    return {name: (values[name].float() - expected[name].float()).norm().item() for name in expected}


def check_close(actual, expected, *, rtol):
    """Each tensor to a share of its own norm: a sum over a batch that nearly cancels has no digits of its own."""
    assert list(actual) == list(expected)
    scale = max(value.norm() for value in expected.values())
    for name in expected:
        assert (actual[name] - expected[name]).norm() <= rtol * (expected[name].norm() + 1e-2 * scale), name


def check_budget(fast, low, full):
    """|fast - full| <= 2 * |low - full| + atol, each the norm over a tensor.

    The norm and not the largest difference: SRU's gate jumps at its threshold, so that rounding its input to bf16
    moves some values by half of themselves. Which ones differs between two equally good bf16 runs; how many does not.
    """
    budget = distance(low, full)
    for name, error in distance(fast, full).items():
        atol = 2 * torch.finfo(torch.bfloat16).eps * full[name].norm().item()
        assert error <= 2 * budget[name] + atol, f"{name}: {error:.3g} against {budget[name]:.3g}"
    assert max(budget.values()) > 0


@each_reading
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-4), (torch.float64, 1e-10)], ids=str)
def test_channels_last_is_contiguous(reading, dtype, rtol):
    net, x = operated(reading).to(dtype), few_images().to(dtype)
    last = copy.deepcopy(net).to(memory_format=torch.channels_last)
    check_close(run(last, x.to(memory_format=torch.channels_last)), run(net, x), rtol=rtol)


@pytest.mark.parametrize("order", ["before", "after"])
def test_surgery_on_a_net_in_channels_last_keeps_its_maps_so(order):
    torch.manual_seed(0)
    net = CifarResNet(10, depth=8)
    if order == "before":
        net.to(memory_format=torch.channels_last)
    apply_surgery(net, ScConv)
    if order == "after":
        net.to(memory_format=torch.channels_last)
    x = few_images().to(memory_format=torch.channels_last)
    maps = []
    for block in (net.layer1, net.layer2, net.layer3):
        block.register_forward_hook(lambda module, inputs, output: maps.append(output))
    check_close(run(net, x), run(operated("paper"), few_images()), rtol=1e-4)
    assert len(maps) == 3
    assert all(output.is_contiguous(memory_format=torch.channels_last) for output in maps)


@each_reading
def test_channels_last_in_bf16_is_as_near_to_fp32_as_contiguous(reading):
    net = operated(reading)
    x = images()
    full, low = run(copy.deepcopy(net), x), run(copy.deepcopy(net), x, bf16=True)
    last = copy.deepcopy(net).to(memory_format=torch.channels_last)
    assert low["output"].dtype == torch.bfloat16
    check_budget(run(last, x.to(memory_format=torch.channels_last), bf16=True), low, full)


@each_reading
def test_bf16_is_near_fp32(reading):
    """A budget says nothing of a reference that is bad itself."""
    net = operated(reading)
    full, low = run(copy.deepcopy(net), images()), run(copy.deepcopy(net), images(), bf16=True)
    error = distance(low, full)
    assert error["output"] < 0.1 * full["output"].norm()
    assert error["gradient of fc.weight"] < 0.1 * full["gradient of fc.weight"].norm()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compiled_is_eager():
    """In fp32 to rounding, in bf16 within the budget; with one unit, as every kernel takes seconds to compile."""
    torch.manual_seed(0)
    stem = [nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    net = nn.Sequential(*stem, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    assert len(apply_surgery(net, ScConv, sites="1").edits) == 1
    x = few_images()
    full, low = run(copy.deepcopy(net), x), run(copy.deepcopy(net), x, bf16=True)
    compiled = torch.compile(net, dynamic=False)
    check_close(run(compiled, x), full, rtol=1e-4)
    check_budget(run(compiled, x, bf16=True), low, full)
