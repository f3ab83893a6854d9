"""SRU as a module: its arguments, its parameters, and the sum of gamma. Its formula is tested in tests/ops."""

import copy
import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from scconv_lab import ops
from scconv_lab.errors import UserError
from scconv_lab.nn import SRU, ScConv
from tests.nn import literal
from tests.nn.literal import random_input, randomize


@pytest.mark.parametrize("gate_mode", ops.GATE_MODES)
@pytest.mark.parametrize("gate_input", ops.GATE_INPUTS)
@pytest.mark.parametrize("norm", ops.NORMS)
def test_is_the_transcription(gate_mode, gate_input, norm):
    choices: dict[str, Any] = {"gate_mode": gate_mode, "gate_input": gate_input, "norm": norm}
    choices |= {"num_groups": 3, "gate_threshold": 0.49}
    unit = randomize(SRU(6, **choices))

    def transcription(x, p):
        values = (literal.scalars(t) for t in (x, p["weight"], p["bias"]))
        return literal.stacked(literal.sru(*values, **choices))

    literal.check_parity(unit, transcription, random_input(2, 6, 3, 2))


@pytest.mark.parametrize("gate_mode", ops.GATE_MODES)
@pytest.mark.parametrize(("channels", "num_groups"), [(1, 1), (3, 1), (5, 5), (9, 3)])
def test_odd_channels_roll_by_half_of_one_less(channels, num_groups, gate_mode):
    """The paper's halves are of an even number."""
    choices: dict[str, Any] = {"gate_mode": gate_mode, "gate_input": "x", "norm": "group_norm"}
    unit = randomize(SRU(channels, num_groups=num_groups, **choices))

    def transcription(x, p):
        values = (literal.scalars(t) for t in (x, p["weight"], p["bias"]))
        return literal.stacked(literal.sru(*values, num_groups=num_groups, **choices))

    literal.check_parity(unit, transcription, random_input(2, channels, 3, 2))


@pytest.mark.parametrize("out_channels", [2, 6, 7, 12])
def test_a_projection_follows_where_the_channels_change(out_channels):
    choices: dict[str, Any] = {"gate_mode": "soft", "gate_input": "x", "norm": "group_norm"}
    unit = randomize(SRU(6, num_groups=3, out_channels=out_channels))

    def transcription(x, p):
        values = (literal.scalars(t) for t in (x, p["weight"], p["bias"]))
        y = literal.sru(*values, num_groups=3, **choices)
        return literal.stacked(literal.conv(y, literal.scalars(p["project.weight"])) if "project.weight" in p else y)

    literal.check_parity(unit, transcription, random_input(2, 6, 3, 2))
    projected = 6 * out_channels if out_channels != 6 else 0
    assert sum(parameter.numel() for parameter in unit.parameters()) == 2 * 6 + projected
    assert ("project.weight" in unit.state_dict()) == (out_channels != 6)


def test_auto_num_groups_is_the_divisor_nearest_to_4():
    """Of two as near, such as 2 and 6, the smaller."""
    for channels in range(1, 201):
        fitting = [d for d in range(1, channels + 1) if channels % d == 0]
        assert SRU(channels, num_groups="auto", device="meta").num_groups == min(fitting, key=lambda d: (abs(d - 4), d))
    chosen = {1: 1, 2: 2, 3: 3, 5: 5, 6: 3, 7: 1, 10: 5, 14: 2, 64: 4, 65: 5}
    assert {channels: SRU(channels, num_groups="auto").num_groups for channels in chosen} == chosen


def test_device_and_dtype():
    unit = SRU(8, out_channels=12, gamma_init="normal", device="meta", dtype=torch.float64)
    assert {(p.device.type, p.dtype) for p in unit.parameters()} == {("meta", torch.float64)}
    unit = SRU(8, out_channels=12, dtype=torch.float64)
    assert {p.dtype for p in unit.parameters()} == {torch.float64}
    assert unit(random_input(1, 8, 2, 2)).dtype == torch.float64


def test_parameters_are_those_of_a_group_norm():
    unit = SRU(8)
    unit.load_state_dict(nn.GroupNorm(4, 8).state_dict())
    assert {name: tuple(value.shape) for name, value in unit.state_dict().items()} == {"weight": (8,), "bias": (8,)}


def test_first_values_of_the_parameters():
    assert torch.equal(SRU(8).weight, torch.ones(8))
    assert torch.equal(SRU(8, gamma_init=-0.25).weight, torch.full((8,), -0.25))
    assert torch.equal(SRU(8, gamma_init="normal").bias, torch.zeros(8))
    torch.manual_seed(0)
    normal = SRU(4096, gamma_init="normal").weight
    assert abs(normal.mean()) < 0.1
    assert abs(normal.std() - 1) < 0.1
    torch.manual_seed(0)
    assert torch.equal(SRU(4096, gamma_init="normal").weight, normal)


def test_has_no_convolution():
    assert sum(parameter.numel() for parameter in SRU(64).parameters()) == 2 * 64


@pytest.mark.parametrize("setting", ["autocast", "parameters in bf16", "parameters in fp16"])
def test_low_precision_keeps_the_gate(setting):
    """Equal to fp32 on the same rounded values, rounded once at the end."""
    low = torch.float16 if setting.endswith("fp16") else torch.bfloat16
    unit = SRU(64, gamma_init="normal")
    if setting != "autocast":
        unit = unit.to(low)
    reference = copy.deepcopy(unit).float()
    x = torch.randn(2, 64, 8, 8).to(low)
    with torch.autocast("cpu", torch.bfloat16, enabled=setting == "autocast"):
        y = unit(x)
    assert y.dtype == low
    assert torch.equal(y, reference(x.float()).to(low))


def test_gradients_have_the_precision_of_the_parameters():
    unit = SRU(8).bfloat16()
    x = torch.randn(2, 8, 3, 3, dtype=torch.bfloat16, requires_grad=True)
    unit(x).sum().backward()
    assert {x.grad.dtype, unit.weight.grad.dtype, unit.bias.grad.dtype} == {torch.bfloat16}


# The sum of gamma


def test_gamma_may_not_start_with_a_sum_of_zero():
    with pytest.raises(ValueError, match="gamma_init") as caught:
        SRU(8, gamma_init=0.0)
    assert "sums to 0" in str(caught.value)
    assert "equation 2 divides by that sum" in str(caught.value)


@pytest.mark.parametrize("nest", [lambda unit: unit, lambda unit: nn.Sequential(nn.Identity(), unit)])
@pytest.mark.parametrize("build", [SRU, ScConv])
def test_gamma_that_sums_to_zero_is_not_loaded(build, nest):
    net = nest(build(8))
    state = {key: value.clone() for key, value in net.state_dict().items()}
    key = next(key for key in state if key.endswith("weight") and state[key].shape == (8,))
    state[key] = torch.tensor([1.0, -1, 2, -2, 3, -3, 4, -4])
    with pytest.raises(UserError, match="sums to 0"):
        net.load_state_dict(state)
    with pytest.raises(UserError, match="sums to 0"):
        net.load_state_dict(state, assign=True)


def test_gamma_with_some_zeros_and_a_negative_sum_is_fine():
    unit = SRU(4, num_groups=2)
    state = {"weight": torch.tensor([0.0, -1.0, -2.0, 0.5]), "bias": torch.zeros(4)}
    unit.load_state_dict(state)
    assert unit(torch.randn(1, 4, 2, 2)).isfinite().all()


def test_gamma_on_the_meta_device_is_not_looked_at():
    with torch.device("meta"):
        SRU(8, gamma_init=0.0)(torch.empty(1, 8, 2, 2))


# Arguments


def offered_numbers(error):
    """The numbers that a message offers after its last `choose`."""
    return [float(n) for n in re.findall(r"\d+(?:\.\d+)?", str(error.value).rpartition("choose")[2])]


@pytest.mark.parametrize(("channels", "num_groups"), [(6, 4), (2, 4), (64, 3), (64, 128)])
def test_channels_not_divisible_by_num_groups(channels, num_groups):
    rule = rf"`channels` \(={channels}\) must be divisible by `num_groups` \(={num_groups}\)"
    with pytest.raises(UserError, match=rule) as caught:
        SRU(channels, num_groups=num_groups)
    offered = offered_numbers(caught)
    assert offered
    for fitting in offered:
        SRU(channels, num_groups=int(fitting))(torch.randn(2, channels, 2, 2))
    assert str(caught.value).endswith("groups, or 'auto'")
    SRU(channels, num_groups="auto")


@pytest.mark.parametrize("value", [0, -4, 4.0, True, "4"])
def test_out_channels_are_a_whole_number(value):
    with pytest.raises(UserError, match=re.escape(f"`out_channels` (={value!r}) must be a whole number of at least 1")):
        SRU(8, out_channels=value)


@pytest.mark.parametrize("name", ["channels", "num_groups"])
@pytest.mark.parametrize("value", [0, -4, 4.0, True, "4", None])
def test_whole_numbers(name, value):
    with pytest.raises(UserError, match=re.escape(f"`{name}` (={value!r}) must be a whole number of at least 1")):
        SRU(**{"channels": 8, "num_groups": 4, name: value})
    SRU(**{"channels": 8, "num_groups": 4, name: 8})


@pytest.mark.parametrize("threshold", [0, 1, -0.1, 1.5, math.nan, math.inf])
def test_threshold_out_of_range(threshold):
    rule = re.escape(f"`gate_threshold` (={threshold}) must lie between 0 and 1, both excluded")
    with pytest.raises(UserError, match=rule) as caught:
        SRU(8, gate_threshold=threshold)
    SRU(8, gate_threshold=float(re.findall(r"\d\.\d+", str(caught.value))[-1]))


@pytest.mark.parametrize(
    ("name", "wrong", "choices"),
    [("gate_mode", "firm", ops.GATE_MODES), ("gate_input", "X", ops.GATE_INPUTS), ("norm", "batch", ops.NORMS)],
)
def test_unknown_choice(name, wrong, choices):
    with pytest.raises(UserError, match=re.escape(f"`{name}` (={wrong!r}) must be one of ")) as caught:
        SRU(8, **{name: wrong})
    offered = re.findall(r"'(\w+)'", str(caught.value).partition("one of")[2])
    assert offered == list(choices)
    for fitting in offered:
        SRU(8, **{name: fitting})


@pytest.mark.parametrize("gamma_init", ["uniform", math.nan, -math.inf, None, True, [1.0]])
def test_unusable_gamma_init(gamma_init):
    rule = re.escape(f"`gamma_init` (={gamma_init!r}) must be a finite number or 'normal'")
    with pytest.raises(UserError, match=rule):
        SRU(8, gamma_init=gamma_init)
    SRU(8, gamma_init="normal")


def test_repr_shows_the_arguments():
    text = repr(SRU(8, num_groups=2, gate_threshold=0.25, gate_mode="hard", gate_input="normalized", norm="unbiased"))
    for shown in ("8", "num_groups=2", "gate_threshold=0.25", "'hard'", "'normalized'", "'unbiased'"):
        assert shown in text
