"""ScConv against the transcriptions in literal.py, its known values, and its life as a module."""

import copy
import io
import itertools
import pickle
import re
from typing import Any

import pytest
import torch

from scconv_lab.errors import UserError
from scconv_lab.nn import CRU, READINGS, SRU, ScConv
from tests.nn import literal
from tests.nn.literal import check_parity, random_input, randomize

# (channels, (batch, height, width), arguments) and why the case is there
CASES: dict[str, tuple[int, tuple[int, int, int], dict[str, Any]]] = {
    "the defaults": (8, (2, 3, 3), {}),
    "H != W: a transposed map shows": (8, (2, 2, 5), {}),
    "1x1 map: the mean is the value, and GWC sees padding all around": (8, (2, 1, 1), {"num_groups": 2}),
    "a map one row high": (8, (1, 1, 4), {}),
    "batch of 1: nothing may be taken over the batch": (8, (1, 3, 3), {}),
    "batch of 3: samples do not mix": (8, (3, 2, 2), {}),
    "12 channels in 3 groups each": (12, (1, 2, 3), {"groups": 3, "num_groups": 3}),
    "alpha 3/4: branches of unlike width": (16, (1, 2, 2), {"alpha": 0.75}),
    "alpha 1/4: the lower branch is the wider": (16, (1, 2, 2), {"alpha": 0.25}),
    "alpha C not whole: rounded down": (12, (1, 2, 3), {"alpha": 0.35}),
    "squeezed channels not whole: rounded down too": (12, (1, 2, 2), {"alpha": 0.42, "squeeze_ratio": 3, "groups": 1}),
    "squeeze 1: no channel lost": (8, (1, 2, 3), {"squeeze_ratio": 1}),
    "groups 1: GWC is a full convolution": (8, (1, 2, 3), {"groups": 1}),
    "groups 4: one channel in, four out": (16, (1, 2, 2), {"groups": 4}),
    "kernel 1: no padding": (8, (2, 2, 3), {"kernel_size": 1}),
    "kernel 5, wider than the map": (8, (1, 2, 3), {"kernel_size": 5}),
    "num_groups 1: layer norm": (8, (2, 2, 3), {"num_groups": 1}),
    "num_groups 2: one group a half": (8, (2, 2, 3), {"num_groups": 2}),
    "num_groups = channels: instance norm": (8, (2, 2, 3), {"num_groups": 8}),
    "a threshold below 1/2": (8, (2, 2, 3), {"gate_threshold": 0.48}),
    "a threshold above 1/2": (8, (2, 2, 3), {"gate_threshold": 0.53}),
}


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize(("channels", "size", "arguments"), CASES.values(), ids=CASES)
def test_reading_is_its_transcription(channels, size, arguments, reading):
    unit = randomize(ScConv(channels, **READINGS[reading], **arguments))
    x = random_input(size[0], channels, *size[1:])
    shared = {
        name: arguments[name] for name in ("num_groups", "gate_threshold", "alpha", "groups") if name in arguments
    }
    check_parity(unit, lambda x, p: literal.READINGS[reading](x, p, **shared), x)


@pytest.mark.parametrize("reading", READINGS)
def test_reading_is_its_transcription_where_the_epsilon_counts(reading):
    """At a standard deviation of 1e-3 both epsilons, 1e-5 within the root and 1e-10 outside it, move the result."""
    unit = randomize(ScConv(8, **READINGS[reading]))
    check_parity(unit, literal.READINGS[reading], 1e-3 * random_input(1, 8, 2, 3))


CHOICES = {
    "gate_mode": ("soft", "hard"),
    "gate_input": ("x", "normalized"),
    "norm": ("group_norm", "unbiased"),
    "fusion": ("pairwise", "joint"),
    "order": ("sru_cru", "cru_sru", "parallel"),
}


@pytest.mark.parametrize("values", list(itertools.product(*CHOICES.values())), ids="-".join)
def test_every_mixture_of_the_readings_is_its_transcription(values):
    """Each point of disagreement can be ablated alone."""
    choices: dict[str, Any] = dict(zip(CHOICES, values, strict=True))
    unit = randomize(ScConv(8, **choices))
    check_parity(unit, lambda x, p: literal.scconv(x, p, **choices), random_input(2, 8, 2, 2))


SHAPES = [
    (*values, (3, 1, 5, 7)[index % 4])
    for index, values in enumerate(
        itertools.product(CHOICES["order"], (1, 2, 3), ("squeeze", "gwc"), (6, 8, 12), (1, 2))
    )
]


@pytest.mark.parametrize(("order", "stride", "stride_in", "out_channels", "dilation", "kernel_size"), SHAPES)
def test_every_shape_is_its_transcription(order, stride, stride_in, out_channels, dilation, kernel_size):
    """Odd and 1-pixel maps too; the output and all gradients."""
    shape: dict[str, Any] = {"stride": stride, "stride_in": stride_in, "dilation": dilation}
    unit = randomize(ScConv(8, order=order, out_channels=out_channels, kernel_size=kernel_size, num_groups=2, **shape))
    for size in ((2, 5, 4), (1, 1, 1)):
        x = random_input(size[0], 8, *size[1:])
        check_parity(
            unit, lambda x, p: literal.scconv_by_windows(x, p, order=order, num_groups=2, groups=2, **shape), x
        )
        height, width = (-(-length // stride) for length in size[1:])
        assert unit(x).shape == (size[0], out_channels, height, width)


@pytest.mark.parametrize("order", CHOICES["order"])
@pytest.mark.parametrize(
    "shape",
    [
        {"stride": 2},
        {"stride": 3, "stride_in": "gwc", "dilation": 2},
        {"stride": 2, "out_channels": 4},
        {"stride": 2, "stride_in": "gwc", "out_channels": 12},
    ],
    ids=str,
)
def test_a_shape_is_its_transcription_value_by_value(order, shape):
    choices: dict[str, Any] = {"gate_mode": "soft", "gate_input": "x", "norm": "group_norm", "fusion": "pairwise"}
    unit = randomize(ScConv(8, order=order, num_groups=2, **choices, **shape))
    of_loops = choices | {name: value for name, value in shape.items() if name != "out_channels"}
    check_parity(
        unit, lambda x, p: literal.scconv(x, p, order=order, num_groups=2, **of_loops), random_input(1, 8, 3, 4)
    )


def test_odd_channels_through_and_through():
    """35 channels: SRU rolls by 17, CRU splits into 17 and 18, and 'auto' finds 5 and 1 or 2 groups."""
    unit = randomize(ScConv(35, num_groups="auto", groups="auto", out_channels=21, stride=2))
    assert (unit.sru.num_groups, unit.cru.split_sizes, unit.cru.gwc.groups) == (5, [17, 18], 1)
    shape: dict[str, Any] = {"stride": 2, "stride_in": "squeeze", "dilation": 1, "groups": 1}
    x = random_input(2, 35, 5, 3)
    check_parity(unit, lambda x, p: literal.scconv_by_windows(x, p, order="sru_cru", num_groups=5, **shape), x)


@pytest.mark.parametrize("order", CHOICES["order"])
def test_parameters_of_every_order_and_shape(order):
    """CRU's (equation 11 and C2), 2 C of the norm where it stands, and SRU's projection beside CRU."""
    for channels, out_channels in ((128, 32), (64, 64), (64, 128)):
        unit = ScConv(channels, out_channels=out_channels, order=order, stride=2, device="meta")
        cru = CRU(channels, out_channels=out_channels, device="meta")
        norm = 2 * (out_channels if order == "cru_sru" else channels)
        projection = channels * out_channels if order == "parallel" and channels != out_channels else 0
        count, of_cru = (sum(p.numel() for p in module.parameters()) for module in (unit, cru))
        assert count == of_cru + norm + projection


def test_auto_groups_where_the_public_numbers_fit_are_the_public_numbers():
    for channels in range(8, 201, 8):
        assert repr(ScConv(channels, num_groups="auto", groups="auto")) == repr(ScConv(channels))
    for channels in range(4, 201):
        ScConv(channels, num_groups="auto", groups="auto", device="meta")


@pytest.mark.parametrize("order", CHOICES["order"])
@pytest.mark.parametrize("out_channels", [None, 12])
def test_device_and_dtype(order, out_channels):
    unit = ScConv(8, order=order, out_channels=out_channels, stride=2, device="meta", dtype=torch.float64)
    assert {(p.device.type, p.dtype) for p in unit.parameters()} == {("meta", torch.float64)}


def test_the_inputs_of_the_parity_tests_open_and_close_the_gate():
    for channels, (batch, height, width), arguments in CASES.values():
        sru = randomize(SRU(channels, num_groups=arguments.get("num_groups", 4)))
        x = literal.scalars(random_input(batch, channels, height, width))
        gamma, beta = literal.scalars(sru.weight.detach()), literal.scalars(sru.bias.detach())
        w = literal.stacked(literal.gate_weights(literal.group_norm(x, gamma, beta, sru.num_groups), gamma))
        opened = (w > arguments.get("gate_threshold", 0.5)).double().mean()
        assert 0.05 < opened < 0.95


def test_readings_are_built_by_name_and_differ():
    x = random_input(1, 64, 4, 4)
    outputs = {}
    for reading, arguments in READINGS.items():
        torch.manual_seed(0)
        outputs[reading] = ScConv(64, **arguments).double()(x)
    for first, second in itertools.combinations(outputs.values(), 2):
        assert (first - second).abs().max() > 1e-3
    torch.manual_seed(0)
    assert torch.equal(ScConv(64).double()(x), outputs["paper"])  # the default is the paper's


def test_readings_spell_out_every_point_of_disagreement():
    points = {"gate_mode", "gate_input", "norm", "gamma_init", "fusion"}
    assert {reading: set(arguments) for reading, arguments in READINGS.items()} == dict.fromkeys(READINGS, points)
    assert set(READINGS) == {"paper", "cheng_haha", "jacky"}


@pytest.mark.parametrize("reading", READINGS)
def test_first_gamma_of_a_reading(reading):
    """nn.GroupNorm starts at 1, Jacky-Android's own norm at draws of a normal distribution."""
    torch.manual_seed(0)
    gamma = ScConv(64, **READINGS[reading]).sru.weight
    torch.manual_seed(0)
    assert torch.equal(gamma, torch.randn(64) if reading == "jacky" else torch.ones(64))


@pytest.mark.parametrize(
    ("gate_mode", "gate_input", "has_gradient"),
    [("soft", "x", True), ("soft", "normalized", True), ("hard", "normalized", True), ("hard", "x", False)],
)
def test_hard_gate_on_x_gives_gamma_no_gradient(gate_mode, gate_input, has_gradient):
    unit = ScConv(8, gate_mode=gate_mode, gate_input=gate_input)
    unit(torch.randn(2, 8, 3, 3)).sum().backward()
    assert all((parameter.grad is not None) == has_gradient for parameter in unit.sru.parameters())
    assert all(parameter.grad is not None for parameter in unit.cru.parameters())
    assert "no gradient" in " ".join(SRU.__doc__.split())  # and the reader is told


@pytest.mark.parametrize("order", CHOICES["order"])
def test_gradcheck(order):
    unit = randomize(ScConv(4, num_groups=2, groups=1, order=order))
    names = [name for name, _ in unit.named_parameters()]

    def function(x, *parameters):
        return torch.func.functional_call(unit, dict(zip(names, parameters, strict=True)), (x,))

    x = random_input(1, 4, 2, 2, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(function, (x, *(p.detach().clone().requires_grad_() for p in unit.parameters())))


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize(("channels", "count"), [(64, 7_616), (128, 30_080), (256, 119_552), (512, 476_672)])
def test_parameter_counts_of_public_code(channels, count, reading):
    with torch.device("meta"):
        unit = ScConv(channels, **READINGS[reading])
    assert sum(parameter.numel() for parameter in unit.parameters()) == count


def test_fusion_sets_the_size_of_the_output():
    """One softmax over 2C means leaves an output about C times smaller than C softmaxes over pairs."""
    channels = 64
    sizes = {}
    for fusion in ("pairwise", "joint"):
        torch.manual_seed(0)
        unit = ScConv(channels, fusion=fusion)
        sizes[fusion] = unit(torch.randn(8, channels, 8, 8)).abs().mean().item()
    assert 0.8 * channels < sizes["pairwise"] / sizes["joint"] < 1.25 * channels


@pytest.mark.parametrize("reading", READINGS)
def test_channels_last_and_strided_inputs_give_the_same(reading):
    unit = randomize(ScConv(16, **READINGS[reading]))
    x = random_input(2, 16, 5, 3)
    expected = unit(x)
    for same in (x.to(memory_format=torch.channels_last), x.transpose(2, 3).contiguous().transpose(2, 3)):
        torch.testing.assert_close(unit(same), expected, rtol=1e-12, atol=1e-12, check_stride=False)


@pytest.mark.parametrize("reading", READINGS)
def test_samples_do_not_mix_and_eval_is_train(reading):
    unit = randomize(ScConv(8, **READINGS[reading]))
    x = random_input(3, 8, 4, 4)
    y = unit(x)
    torch.testing.assert_close(y[[2, 0, 1]], unit(x[[2, 0, 1]]), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(y[1:2], unit(x[1:2]), rtol=1e-12, atol=1e-12)
    assert torch.equal(unit.eval()(x), y)


def test_input_is_left_alone():
    x = random_input(2, 8, 3, 3)
    before = x.clone()
    randomize(ScConv(8))(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("reading", READINGS)
def test_arguments_reach_the_parts(reading):
    """No argument is taken and then ignored: the parts built one by one give the same."""
    own: dict[str, Any] = READINGS[reading] | {"gamma_init": 0.5}
    of_sru = {"num_groups": 2, "gate_threshold": 0.51}
    of_cru = {"alpha": 0.25, "squeeze_ratio": 1, "groups": 4, "kernel_size": 5}
    unit = randomize(ScConv(16, **own, **of_sru, **of_cru))
    sru = SRU(16, **{name: own[name] for name in ("gate_mode", "gate_input", "norm", "gamma_init")}, **of_sru).double()
    cru = CRU(16, fusion=own["fusion"], **of_cru).double()
    assert torch.equal(sru.weight, ScConv(16, **own).double().sru.weight)
    sru.load_state_dict(unit.sru.state_dict())
    cru.load_state_dict(unit.cru.state_dict())
    x = random_input(2, 16, 4, 4)
    assert torch.equal(unit(x), cru(sru(x)))
    for part, argument in [*itertools.product([unit.sru], of_sru.items()), (unit.cru, ("alpha", 0.25))]:
        assert getattr(part, argument[0]) == argument[1]


# Precision


def naive_scconv(p, x, *, fusion):
    """Public code as it stands: every operation in whatever precision the input and the parameters have."""
    return naive_cru(p, naive_sru(p["sru.weight"], p["sru.bias"], x), fusion=fusion)


def naive_sru(gamma, beta, x):
    gn_x = torch.nn.functional.group_norm(x, 4, gamma, beta)
    w = torch.sigmoid(gn_x * (gamma / gamma.sum()).view(1, -1, 1, 1))
    w1 = torch.where(w > 0.5, torch.ones_like(w), w)
    w2 = torch.where(w > 0.5, torch.zeros_like(w), w)
    (x11, x12), (x21, x22) = (w1 * x).chunk(2, dim=1), (w2 * x).chunk(2, dim=1)
    return torch.cat([x11 + x22, x12 + x21], dim=1)


def naive_cru(p, x, *, fusion):
    conv = torch.nn.functional.conv2d
    up, low = x.chunk(2, dim=1)
    up, low = conv(up, p["cru.squeeze_up.weight"]), conv(low, p["cru.squeeze_low.weight"])
    y1 = conv(up, p["cru.gwc.weight"], p["cru.gwc.bias"], padding=1, groups=2) + conv(up, p["cru.pwc_up.weight"])
    y2 = torch.cat([conv(low, p["cru.pwc_low.weight"]), low], dim=1)
    if fusion == "pairwise":
        s = torch.stack([y1.mean((2, 3), keepdim=True), y2.mean((2, 3), keepdim=True)]).softmax(dim=0)
        return s[0] * y1 + s[1] * y2
    y = torch.cat([y1, y2], dim=1)
    out1, out2 = (torch.nn.functional.adaptive_avg_pool2d(y, 1).softmax(dim=1) * y).chunk(2, dim=1)
    return out1 + out2


def output_and_gradients(function, x, parameters, cotangent):
    y = function(x)
    return [y, *torch.autograd.grad(y, [x, *parameters], cotangent.to(y.dtype))]


@pytest.mark.parametrize("fusion", ["pairwise", "joint"])
@pytest.mark.parametrize("setting", ["bf16", "fp16", "autocast to bf16", "bf16 input under autocast to bf16"])
def test_low_precision_stays_within_the_error_budget(setting, fusion):
    """|low - ref_fp32| <= 2 * |naive_low - ref_fp32| + atol, for the output and every gradient."""
    low = torch.float16 if setting == "fp16" else torch.bfloat16
    parameter_dtype = torch.float32 if "autocast" in setting else low
    x_dtype = torch.float32 if setting == "autocast to bf16" else low
    torch.manual_seed(0)
    reference = ScConv(32, fusion=fusion)
    with torch.no_grad():
        reference.sru.weight.uniform_(0.5, 1.5)
        reference.sru.bias.normal_()
        for parameter in reference.parameters():  # values that every precision can hold
            parameter.copy_(parameter.to(low).float())
    unit = copy.deepcopy(reference).to(parameter_dtype)
    naive = {name: p.detach().clone().requires_grad_() for name, p in unit.named_parameters()}
    x = torch.randn(4, 32, 8, 8).to(low)
    cotangent = torch.randn(4, 32, 8, 8).to(low).float()

    x_ref, x_low, x_naive = (x.to(d).requires_grad_() for d in (torch.float32, x_dtype, x_dtype))
    expected = output_and_gradients(reference, x_ref, reference.parameters(), cotangent)
    with torch.autocast("cpu", torch.bfloat16, enabled="autocast" in setting):
        actual = output_and_gradients(unit, x_low, unit.parameters(), cotangent)
        public = output_and_gradients(
            lambda x: naive_scconv(naive, x, fusion=fusion), x_naive, naive.values(), cotangent
        )
    assert actual[0].dtype == low
    names = ["output", "input", *naive]
    for name, low_value, naive_value, value in zip(names, actual, public, expected, strict=True):
        error, budget = (low_value.float() - value).abs().max(), (naive_value.float() - value).abs().max()
        atol = 4 * torch.finfo(low).eps * value.abs().max()
        assert error <= 2 * budget + atol, f"{name}: {error:.3g} against {budget:.3g}"


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_low_precision_is_near_fp32(low):
    """Not only as good as the naive version: near, since no gate flips. Relative to the root mean square."""
    torch.manual_seed(0)
    unit = ScConv(64).to(low)
    x = torch.randn(2, 64, 8, 8).to(low)
    y = unit(x).float()
    reference = copy.deepcopy(unit).float()
    expected = reference(x.float())
    error = (y - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    assert error < 2 * torch.finfo(low).eps
    naive = naive_scconv(dict(unit.named_parameters()), x, fusion="pairwise").float()
    naive_error = (naive - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    assert naive_error > 4 * error  # the test has teeth


# A module's life


@pytest.mark.parametrize("reading", READINGS)
def test_state_dict_round_trip(reading):
    unit = randomize(ScConv(16, **READINGS[reading]))
    file = io.BytesIO()
    torch.save(unit.state_dict(), file)
    file.seek(0)
    other = ScConv(16, **READINGS[reading]).double()
    other.load_state_dict(torch.load(file, weights_only=True))
    x = random_input(2, 16, 3, 3)
    assert torch.equal(other(x), unit(x))


def test_state_dict_keys():
    """Checkpoints name these; a new name is a break."""
    assert {name: tuple(value.shape) for name, value in ScConv(16, alpha=0.75).state_dict().items()} == {
        "sru.weight": (16,),
        "sru.bias": (16,),
        "cru.squeeze_up.weight": (6, 12, 1, 1),
        "cru.squeeze_low.weight": (2, 4, 1, 1),
        "cru.gwc.weight": (16, 3, 3, 3),
        "cru.gwc.bias": (16,),
        "cru.pwc_up.weight": (16, 6, 1, 1),
        "cru.pwc_low.weight": (14, 2, 1, 1),
    }


@pytest.mark.parametrize("order", CHOICES["order"])
def test_no_key_is_new_where_the_shape_is_kept(order):
    """Nor with a stride or a dilation; a projection beside CRU is the one new key."""
    keys = set(ScConv(16).state_dict())
    assert set(ScConv(16, order=order).state_dict()) == keys
    assert set(ScConv(16, order=order, stride=2, stride_in="gwc", dilation=2).state_dict()) == keys
    added = set(ScConv(16, order=order, out_channels=24).state_dict()) - keys
    assert added == ({"sru.project.weight"} if order == "parallel" else set())


def test_every_reading_loads_every_readings_weights():
    for first, second in itertools.permutations(READINGS.values(), 2):
        ScConv(8, **second).load_state_dict(ScConv(8, **first).state_dict())


def test_deepcopy_is_a_unit_of_its_own():
    unit = randomize(ScConv(8))
    twin = copy.deepcopy(unit)
    x = random_input(1, 8, 3, 3)
    y = unit(x)
    assert torch.equal(twin(x), y)
    with torch.no_grad():
        twin.sru.weight.zero_()
    with pytest.raises(UserError):
        twin.load_state_dict(twin.state_dict())
    assert torch.equal(unit(x), y)


@pytest.mark.parametrize("reading", READINGS)
def test_pickle(reading):
    """A process that is spawned gets its module so, and so does torch.save of a whole module."""
    unit = randomize(ScConv(8, **READINGS[reading]))
    twin = pickle.loads(pickle.dumps(unit))
    x = random_input(1, 8, 3, 3)
    assert torch.equal(twin(x), unit(x))
    with pytest.raises(UserError, match="sums to 0"):
        twin.load_state_dict(unit.state_dict() | {"sru.weight": torch.zeros(8)})


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("order", CHOICES["order"])
def test_meta_device(reading, order):
    with torch.device("meta"):
        unit = ScConv(16, order=order, **READINGS[reading])
        y = unit(torch.empty(2, 16, 5, 7))
    assert y.is_meta
    assert y.shape == (2, 16, 5, 7)


def test_from_meta_to_a_device():
    with torch.device("meta"):
        unit = ScConv(16)
    unit = unit.to_empty(device="cpu")
    for module in unit.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert torch.equal(unit.sru.weight, torch.ones(16))
    assert torch.equal(unit.sru.bias, torch.zeros(16))
    assert unit(torch.randn(1, 16, 2, 2)).isfinite().all()


def test_repr_shows_the_reading():
    text = repr(ScConv(16, order="parallel", alpha=0.75, **READINGS["jacky"]))
    for shown in ("'parallel'", "16", "0.75", "'hard'", "'normalized'", "'unbiased'", "'joint'", "num_groups=4"):
        assert shown in text


# Arguments


def test_unknown_order():
    with pytest.raises(UserError, match=r"`order` \(='cru'\) must be one of 'sru_cru', 'cru_sru', 'parallel'"):
        ScConv(8, order="cru")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"num_groups": 3}, "`num_groups` (=3)"),
        ({"gate_threshold": 1.0}, "`gate_threshold` (=1.0)"),
        ({"gate_mode": "firm"}, "`gate_mode` (='firm')"),
        ({"gate_input": "y"}, "`gate_input` (='y')"),
        ({"norm": "batch"}, "`norm` (='batch')"),
        ({"gamma_init": 0.0}, "gamma_init"),
        ({"alpha": 1.0}, "`alpha` (=1.0)"),
        ({"squeeze_ratio": 0}, "`squeeze_ratio` (=0)"),
        ({"groups": 3}, "`groups` (=3)"),
        ({"kernel_size": 2}, "`kernel_size` (=2)"),
        ({"fusion": "sum"}, "`fusion` (='sum')"),
        ({"stride_in": "pool"}, "`stride_in` (='pool')"),
        ({"stride": 0}, "`stride` (=0)"),
        ({"dilation": 1.5}, "`dilation` (=1.5)"),
        ({"out_channels": 0}, "`out_channels` (=0)"),
        ({"out_channels": 2, "order": "cru_sru", "num_groups": 4}, "`channels` (=2)"),
    ],
)
def test_parts_refuse_wrong_arguments(arguments, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        ScConv(16, **arguments)
