"""The controls of SRU: what each computes, draws and keeps."""

import copy
import functools

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from scconv_lab.complexity import count_params
from scconv_lab.errors import UserError
from scconv_lab.nn import (
    SRU,
    RandomGateSRU,
    ShuffledGammaSRU,
    UngatedSRU,
)
from tests.nn import literal
from tests.nn.literal import check_parity, random_input, randomize

SRUS = {"UngatedSRU": UngatedSRU, "RandomGateSRU": RandomGateSRU, "ShuffledGammaSRU": ShuffledGammaSRU}

each_sru = pytest.mark.parametrize("build", SRUS.values(), ids=SRUS)


@each_sru
def test_a_control_of_sru_has_its_parameters(build):
    ours, sru = build(8), SRU(8)
    assert count_params(ours) == count_params(sru)
    assert dict(ours.named_parameters()).keys() == sru.state_dict().keys()
    missing, unexpected = ours.load_state_dict(sru.state_dict(), strict=False)
    assert not unexpected
    assert set(missing) == dict(ours.named_buffers()).keys()


def sru_values(unit, x, p):
    """What the controls' transcriptions start from, as nested lists: x, gamma, GN(x), and what the gate multiplies."""
    x, gamma, beta = (literal.scalars(tensor) for tensor in (x, p["weight"], p["bias"]))
    norm = {"group_norm": literal.group_norm, "unbiased": literal.unbiased_norm}[unit.norm]
    gn_x = norm(x, gamma, beta, unit.num_groups)
    return gamma, gn_x, {"x": x, "normalized": gn_x}[unit.gate_input]


def ungated(unit):
    def transcription(x, p):
        gamma, gn_x, value = sru_values(unit, x, p)
        w = literal.gate_weights(gn_x, gamma)
        return literal.stacked(literal.reconstruct(literal.multiply(w, value), literal.multiply(w, value)))

    return transcription


def random_gate(unit):
    def transcription(x, p):
        _, _, value = sru_values(unit, x, p)
        x1, x2 = [], []
        for sample in value:
            kept = [(1.0, 0.0) if informative else (0.5, 0.5) for informative in unit.informative.tolist()]
            x1.append([[[w1 * v for v in row] for row in c] for c, (w1, _) in zip(sample, kept, strict=True)])
            x2.append([[[w2 * v for v in row] for row in c] for c, (_, w2) in zip(sample, kept, strict=True)])
        return literal.stacked(literal.reconstruct(x1, x2))

    return transcription


def shuffled_gamma(unit):
    def transcription(x, p):
        gamma, gn_x, value = sru_values(unit, x, p)
        w = literal.gate_weights(gn_x, [gamma[int(i)] for i in unit.permutation.tolist()])
        w1, w2 = {"soft": literal.soft_gate, "hard": literal.hard_gate}[unit.gate_mode](w, unit.gate_threshold)
        return literal.stacked(literal.reconstruct(literal.multiply(w1, value), literal.multiply(w2, value)))

    return transcription


@pytest.mark.parametrize("gate_input", ["x", "normalized"])
@pytest.mark.parametrize("norm", ["group_norm", "unbiased"])
@pytest.mark.parametrize(
    ("build", "transcription"),
    [
        (UngatedSRU, ungated),
        (ShuffledGammaSRU, shuffled_gamma),
        (functools.partial(ShuffledGammaSRU, gate_mode="hard", gate_threshold=0.48), shuffled_gamma),
    ],
    ids=["ungated", "shuffled gamma", "shuffled gamma, hard"],
)
def test_is_the_transcription(build, transcription, norm, gate_input):
    torch.manual_seed(0)
    unit = randomize(build(8, num_groups=2, norm=norm, gate_input=gate_input))
    check_parity(unit, transcription(unit), random_input(2, 8, 2, 3))


@pytest.mark.parametrize("norm", ["group_norm", "unbiased"])
def test_random_gate_is_the_transcription(norm):
    torch.manual_seed(0)
    normalized = randomize(RandomGateSRU(8, gate_input="normalized", norm=norm))
    check_parity(normalized, random_gate(normalized), random_input(2, 8, 2, 3))
    raw = randomize(RandomGateSRU(8, norm=norm))
    x = random_input(2, 8, 2, 3)
    literal.assert_same(raw(x), random_gate(raw)(x, dict(raw.named_parameters())))


def test_ungated_is_the_limit_of_a_high_threshold():
    """At a threshold above every weight the soft gate is never open."""
    sru = randomize(SRU(8, gate_threshold=1 - 1e-12))
    ungated = UngatedSRU(8).double()
    ungated.load_state_dict(sru.state_dict())
    x = random_input(2, 8, 4, 3)
    assert torch.equal(ungated(x), sru(x))
    sru.gate_threshold = 0.5
    assert not torch.equal(ungated(x), sru(x))


@pytest.mark.parametrize("gate_mode", ["soft", "hard"])
def test_gamma_shuffled_by_the_identity_is_sru(gate_mode):
    sru = randomize(SRU(8, gate_mode=gate_mode))
    shuffled = ShuffledGammaSRU(8, gate_mode=gate_mode).double()
    shuffled.load_state_dict(sru.state_dict(), strict=False)
    x = random_input(2, 8, 4, 3)
    assert not torch.equal(shuffled(x), sru(x))
    shuffled.permutation = torch.arange(8)
    assert torch.equal(shuffled(x), sru(x))


def test_gammas_that_are_alike_are_shuffled_in_vain():
    x = torch.randn(2, 8, 4, 3)
    assert torch.equal(ShuffledGammaSRU(8)(x), SRU(8)(x))


def test_half_of_the_channels_are_informative_and_no_gamma_keeps_its_channel():
    for channels in (2, 3, 8, 64, 65):
        groups = 1 if channels % 4 else 4
        assert RandomGateSRU(channels, num_groups=groups).informative.sum() == channels // 2
        permutation = ShuffledGammaSRU(channels, num_groups=groups).permutation
        assert sorted(permutation.tolist()) == list(range(channels))
        assert not (permutation == torch.arange(channels)).any()


@pytest.mark.parametrize(("build", "buffer"), [(RandomGateSRU, "informative"), (ShuffledGammaSRU, "permutation")])
def test_the_seed_decides_the_draw_and_a_checkpoint_keeps_it(build, buffer):
    torch.manual_seed(3)
    unit, other = build(64), build(64)
    torch.manual_seed(3)
    again = build(64)
    draw = getattr(unit, buffer).clone()
    assert torch.equal(getattr(again, buffer), draw)
    assert not torch.equal(getattr(other, buffer), draw)
    other.load_state_dict(unit.state_dict())
    assert torch.equal(getattr(other, buffer), draw)
    x = torch.randn(2, 64, 3, 3)
    assert torch.equal(other(x), unit(x))
    assert getattr(unit.half().to("meta"), buffer).dtype == draw.dtype  # whole numbers stay whole


def test_the_input_does_not_move_a_random_gate():
    """The unit is linear in its input: the gate is the same for every one."""
    unit = RandomGateSRU(8).double()
    x, y = random_input(2, 8, 3, 3), random_input(2, 8, 3, 3, seed=1)
    torch.testing.assert_close(unit(2 * x - 3 * y), 2 * unit(x) - 3 * unit(y))


def test_what_a_random_gate_does_not_read_is_frozen():
    """A parameter that wants a gradient and gets none would stop DDP."""
    for gate_input, reads in {"x": False, "normalized": True}.items():
        unit = RandomGateSRU(8, gate_input=gate_input)
        x = torch.randn(2, 8, 3, 3, requires_grad=True)
        unit(x).square().sum().backward()
        for parameter in unit.parameters():
            assert parameter.requires_grad == reads
            assert (parameter.grad is not None) == reads
        assert x.grad is not None


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@each_sru
def test_low_precision_keeps_the_gate(build, low):
    """Equal to fp32 on the same rounded values, rounded once at the end."""
    unit = build(64, gamma_init="normal").to(low)
    reference = copy.deepcopy(unit).float()
    x = torch.randn(2, 64, 8, 8).to(low)
    y = unit(x)
    assert y.dtype == low
    assert torch.equal(y, reference(x.float()).to(low))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(unit(x), y)


@each_sru
def test_arguments_are_looked_at_as_srus_are(build):
    with pytest.raises(UserError, match=r"`num_groups` \(=3\)"):
        build(8, num_groups=3)
    with pytest.raises(UserError, match=r"`norm` \(='batch'\)"):
        build(8, norm="batch")
    with pytest.raises(UserError, match="sums to 0"):
        build(8, gamma_init=0.0)
    build(12, num_groups="auto")


@pytest.mark.parametrize("build", [UngatedSRU, RandomGateSRU])
def test_no_gate_no_arguments_of_it(build):
    with pytest.raises(TypeError):
        build(8, gate_threshold=0.5)


@pytest.mark.parametrize("build", [ShuffledGammaSRU, RandomGateSRU])
@pytest.mark.parametrize("average", [get_swa_multi_avg_fn(), get_ema_multi_avg_fn(0.999)], ids=["swa", "ema"])
@pytest.mark.parametrize("one_by_one", [False, True])
def test_averaged_weights_leave_what_was_drawn(build, average, one_by_one):
    net = build(64)
    one = get_ema_avg_fn(0.999)
    averaging = {"avg_fn": one} if one_by_one else {"multi_avg_fn": average}
    averaged = AveragedModel(net, use_buffers=True, **averaging)
    for _ in range(20):
        averaged.update_parameters(net)
    x = random_input(2, 64, 4, 4)
    torch.testing.assert_close(averaged(x), net(x))


@pytest.mark.parametrize("build", [ShuffledGammaSRU, RandomGateSRU])
def test_a_checkpoint_of_earlier_versions_is_read(build):
    """It has whole numbers and truth values."""
    net, twin = build(16), build(16)
    state = net.state_dict()
    key = next(key for key in state if key in ("permutation", "informative"))
    state[key] = state[key].to(torch.int64 if key == "permutation" else torch.bool)
    twin.load_state_dict(state)
    x = random_input(2, 16, 4, 4)
    assert torch.equal(twin(x), net(x))
