"""The tensor functions: known values, limits and symmetries. Parity with the equations is in tests/nn."""

import itertools

import pytest
import torch

from scconv_lab import ops
from scconv_lab.errors import UserError

GATES = [(gate_mode, gate_input) for gate_mode in ops.GATE_MODES for gate_input in ops.GATE_INPUTS]


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


# Group norm


@pytest.mark.parametrize(("norm", "variance"), [("group_norm", 1.0), ("unbiased", 4 / 3)])
def test_norm_by_hand(norm, variance):
    """Values 2, 2, 4, 4 have mean 3, variance 1, and 4/3 with Bessel's correction."""
    x = torch.tensor([2.0, 2, 4, 4], dtype=torch.float64).view(1, 2, 1, 2)
    gamma, beta = torch.tensor([[1.0, 10.0], [0.0, 5.0]], dtype=torch.float64)
    step = 1 / variance**0.5
    expected = torch.tensor([-step, -step, 10 * step + 5, 10 * step + 5], dtype=torch.float64).view(1, 2, 1, 2)
    actual = ops.group_normalize(x, gamma, beta, num_groups=1, norm=norm)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("norm", ops.NORMS)
def test_norm_of_equal_values_is_beta(norm):
    beta = random(8)
    y = ops.group_normalize(torch.full((2, 8, 3, 3), 7.0).double(), random(8), beta, num_groups=2, norm=norm)
    close(y, beta.view(1, 8, 1, 1).expand(2, 8, 3, 3))


@pytest.mark.parametrize("norm", ops.NORMS)
def test_norm_ignores_shift_and_scale_of_a_group(norm):
    x = random(2, 8, 4, 4)
    one, zero = torch.ones(8).double(), torch.zeros(8).double()
    y = ops.group_normalize(x, one, zero, num_groups=4, norm=norm)
    scale = torch.tensor([1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]).double().view(8, 1, 1)
    moved = ops.group_normalize(x * scale + 5 * scale, one, zero, num_groups=4, norm=norm)
    torch.testing.assert_close(moved, y, rtol=1e-4, atol=1e-4)  # but for the epsilon


# Cross-reconstruction


def test_cross_reconstruct_by_hand():
    x1, x2 = torch.tensor([1, 2, 3, 4]).view(1, 4, 1, 1), torch.tensor([10, 20, 30, 40]).view(1, 4, 1, 1)
    assert ops.cross_reconstruct(x1, x2).flatten().tolist() == [31, 42, 13, 24]


def test_cross_reconstruct_keeps_the_first_and_swaps_the_second():
    x = random(2, 6, 3, 2)
    assert torch.equal(ops.cross_reconstruct(x, torch.zeros_like(x)), x)
    swapped = ops.cross_reconstruct(torch.zeros_like(x), x)
    assert torch.equal(swapped, torch.cat((x[:, 3:], x[:, :3]), dim=1))
    assert torch.equal(ops.cross_reconstruct(torch.zeros_like(x), swapped), x)


@pytest.mark.parametrize("channels", range(1, 9))
def test_cross_reconstruct_adds_every_channel_once(channels):
    """By half the channels, and by (C - 1) / 2 of an odd number: (1, 2, 3) becomes (3, 1, 2)."""
    x1, x2 = torch.zeros(1, channels, 1, 1), torch.arange(1.0, channels + 1).view(1, channels, 1, 1)
    moved = ops.cross_reconstruct(x1, x2).flatten().tolist()
    step = (channels - 1) // 2 if channels % 2 else channels // 2
    assert moved == [(c - step) % channels + 1 for c in range(channels)]
    assert sorted(moved) == list(range(1, channels + 1))


# Gate


@pytest.mark.parametrize(
    ("gate_mode", "expected"),
    [("soft", ([0.2, 0.5, 1.0, 1.0], [0.2, 0.5, 0.0, 0.0])), ("hard", ([0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]))],
)
def test_gate_by_hand(gate_mode, expected):
    """A weight on the threshold is not above it (soft), and at or above it (hard)."""
    w = torch.tensor([0.2, 0.5, 0.51, 0.9])
    w1, w2 = ops.gate(w, gate_mode=gate_mode)
    assert (w1.tolist(), w2.tolist()) == tuple([pytest.approx(value) for value in part] for part in expected)


@pytest.mark.parametrize("gate_threshold", [0.1, 0.45, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_gate_against_every_threshold(gate_threshold, dtype):
    w = random(2, 4, 3, 3).sigmoid().to(dtype)
    above = w > gate_threshold
    soft1, soft2 = ops.gate(w, gate_threshold=gate_threshold, gate_mode="soft")
    hard1, hard2 = ops.gate(w, gate_threshold=gate_threshold, gate_mode="hard")
    assert {part.dtype for part in (soft1, soft2, hard1, hard2)} == {dtype}
    assert torch.equal(soft1, torch.where(above, 1.0, w))
    assert torch.equal(soft2, torch.where(above, 0.0, w))
    assert torch.equal(hard1, above.to(dtype))
    assert torch.equal(hard1 + hard2, torch.ones_like(w))


def test_gate_is_soft_at_one_half_by_default():
    w = random(1, 4, 2, 2).sigmoid()
    assert all(
        torch.equal(a, b) for a, b in zip(ops.gate(w), ops.gate(w, gate_threshold=0.5, gate_mode="soft"), strict=True)
    )


@pytest.mark.parametrize("gate_mode", ops.GATE_MODES)
def test_sru_is_its_parts(gate_mode):
    x, gamma, beta = random(2, 8, 3, 3), random(8) + 1, random(8, seed=1)
    w = ops.gate_weights(ops.group_normalize(x, gamma, beta, num_groups=4, norm="group_norm"), gamma)
    w1, w2 = ops.gate(w, gate_mode=gate_mode)
    assert torch.equal(sru(x, gamma, beta, gate_mode=gate_mode), ops.cross_reconstruct(w1 * x, w2 * x))


# SRU


def sru(x, gamma=None, beta=None, *, num_groups=4, **arguments):
    channels = x.shape[1]
    gamma = torch.ones(channels).to(x) if gamma is None else gamma
    beta = torch.zeros(channels).to(x) if beta is None else beta
    return ops.sru(x, gamma, beta, num_groups=num_groups, **arguments)


def swap(x):
    return torch.cat(x.chunk(2, dim=1)[::-1], dim=1)


def above_group_mean(x, num_groups):
    grouped = x.reshape(len(x), num_groups, -1)
    return (grouped > grouped.mean(2, keepdim=True)).view_as(x)


@pytest.mark.parametrize("norm", ops.NORMS)
def test_gate_opens_above_the_group_mean(norm):
    """sigmoid(z) > 1/2 is z > 0, which at gamma 1 and beta 0 is x above its group's mean."""
    x = random(2, 16, 5, 5)
    informative = above_group_mean(x, 4)
    close(sru(x, gate_mode="hard", norm=norm), x * informative + swap(x * ~informative))


def test_soft_gate_halves_what_is_below_the_mean():
    """Below the threshold w = sigmoid(GN(x) / C) is a hair under 1/2, the closer the more channels there are."""
    x = random(2, 256, 4, 4)
    informative = above_group_mean(x, 4)
    halved = x * torch.where(informative, 1.0, 0.5) + swap(x * torch.where(informative, 0.0, 0.5))
    error = (sru(x) - halved).abs()
    largest = 0.25 * 5 / 256 * (x.abs() + swap(x).abs())  # sigmoid's slope is 1/4, and |GN(x)| < 5
    assert (error <= largest).all()
    assert error.max() > 0


def test_weight_on_the_threshold():
    """A constant map has GN(x) = 0 and w = 1/2: not above the threshold (soft), at or above it (hard)."""
    x = torch.full((1, 8, 2, 2), 3.0, dtype=torch.float64)
    x[:, 4:] = 5.0
    soft = sru(x, gate_mode="soft")
    assert torch.equal(soft, 0.5 * (x + swap(x)))
    assert torch.equal(sru(x, gate_mode="hard"), x)


@pytest.mark.parametrize("gate_mode", ops.GATE_MODES)
def test_threshold_limits(gate_mode):
    """A threshold near 0 lets everything through; the soft gate near 1 halves it, the hard gate swaps the halves."""
    x = random(2, 8, 3, 3)
    close(sru(x, gate_mode=gate_mode, gate_threshold=1e-6), x)
    high = sru(x, gate_mode=gate_mode, gate_threshold=1 - 1e-6)
    if gate_mode == "hard":
        close(high, swap(x))
    else:
        z = ops.group_normalize(x, torch.ones(8).double(), torch.zeros(8).double(), num_groups=4, norm="group_norm") / 8
        w = 1 / (1 + (-z).exp())
        close(high, w * x + swap(w * x))


def test_hard_gate_loses_nothing():
    """Every value goes to one of two channels, so the sum over a channel and its partner stays."""
    x = random(2, 8, 3, 3)
    y = sru(x, random(8), random(8, seed=1), gate_mode="hard")
    close(y[:, :4] + y[:, 4:], x[:, :4] + x[:, 4:])


@pytest.mark.parametrize(("gate_mode", "gate_input"), GATES)
@pytest.mark.parametrize("norm", ops.NORMS)
class TestSymmetries:
    """What SRU may not change under: each breaks when an axis or a group is mixed up."""

    def test_positions(self, gate_mode, gate_input, norm):
        x, gamma, beta = random(2, 8, 3, 4), random(8) + 1, random(8, seed=1)
        order = torch.randperm(12, generator=torch.Generator().manual_seed(0))

        def shuffle(t):
            return t.flatten(2)[:, :, order].view_as(t)

        choices = {"gate_mode": gate_mode, "gate_input": gate_input, "norm": norm}
        close(sru(shuffle(x), gamma, beta, **choices), shuffle(sru(x, gamma, beta, **choices)))

    def test_samples(self, gate_mode, gate_input, norm):
        x, gamma, beta = random(3, 8, 3, 3), random(8) + 1, random(8, seed=1)
        choices = {"gate_mode": gate_mode, "gate_input": gate_input, "norm": norm}
        close(sru(x[1:2], gamma, beta, **choices), sru(x, gamma, beta, **choices)[1:2])

    def test_halves(self, gate_mode, gate_input, norm):
        """With whole groups in each half, swapping the halves going in swaps them coming out."""
        x, gamma, beta = random(2, 8, 3, 3), random(8) + 1, random(8, seed=1)
        choices = {"gate_mode": gate_mode, "gate_input": gate_input, "norm": norm}
        swapped = sru(swap(x), gamma.roll(4), beta.roll(4), **choices)
        close(swapped, swap(sru(x, gamma, beta, **choices)))

    def test_channels_of_a_group_with_their_partners(self, gate_mode, gate_input, norm):
        x, gamma, beta = random(2, 8, 3, 3), random(8) + 1, random(8, seed=1)
        choices = {"gate_mode": gate_mode, "gate_input": gate_input, "norm": norm}
        order = [1, 0, 2, 3, 5, 4, 6, 7]  # channels 0, 1 are one group; their partners 4, 5 another
        close(sru(x[:, order], gamma[order], beta[order], **choices), sru(x, gamma, beta, **choices)[:, order])


def test_only_the_share_of_gamma_counts_beside_the_norm():
    """Equation 2 divides by the plain sum: at beta 0 gamma's scale cannot move a gate at 1/2, its sign turns it."""
    x, gamma = random(2, 8, 3, 3), random(8).abs() + 0.1
    y = sru(x, gamma, gate_mode="hard")
    close(sru(x, 100 * gamma, gate_mode="hard"), y)
    close(sru(x, -gamma, gate_mode="hard"), x + swap(x) - y)


def test_negative_gamma_in_a_positive_sum_keeps_its_sign():
    """Neither a softmax nor an absolute value: a channel's negative share times its negative scale opens as before."""
    x, gamma = random(2, 8, 3, 3), torch.tensor([2.0, -1, 2, -1, 2, -1, 2, -1]).double()
    close(sru(x, gamma, gate_mode="hard"), sru(x, gate_mode="hard"))


@pytest.mark.parametrize(("gate_mode", "gate_input"), GATES)
@pytest.mark.parametrize("norm", ops.NORMS)
def test_sru_gradcheck(gate_mode, gate_input, norm):
    """Finite differences agree wherever no value is near the threshold."""
    x, gamma, beta = random(1, 4, 2, 3), random(4) + 2, 0.3 * random(4, seed=1)
    z = gamma.view(4, 1, 1) / gamma.sum() * ops.group_normalize(x, gamma, beta, num_groups=2, norm=norm)
    assert z.abs().min() > 1e-4

    def function(x, gamma, beta):
        return sru(x, gamma, beta, num_groups=2, gate_mode=gate_mode, gate_input=gate_input, norm=norm)

    blind = (gate_mode, gate_input) == ("hard", "x")
    assert torch.autograd.gradcheck(
        function, (x.requires_grad_(), gamma.requires_grad_(not blind), beta.requires_grad_(not blind))
    )


def test_hard_gate_on_x_has_no_path_to_gamma():
    x = random(1, 8, 2, 2).requires_grad_()
    gamma, beta = random(8).requires_grad_(), random(8).requires_grad_()
    y = sru(x, gamma, beta, gate_mode="hard")
    assert torch.autograd.grad(y.sum(), (gamma, beta), allow_unused=True, retain_graph=True) == (None, None)
    (grad,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(grad, torch.ones_like(x))  # each value arrives once


# Precision


def check_low_precision(device, low, *, autocast, fp32_parameters, **choices):
    x = random(2, 64, 8, 8).to(device, low)
    gamma = (1 + 0.1 * random(64, seed=1)).to(device, low)
    beta = (0.1 * random(64, seed=2)).to(device, low)
    expected = sru(x.float(), gamma.float(), beta.float(), **choices)
    if fp32_parameters:
        gamma, beta = gamma.float(), beta.float()
    with torch.autocast(device, low, enabled=autocast):
        y = sru(x, gamma, beta, **choices)
    assert y.dtype == low
    assert torch.equal(y, expected.to(low))


def check_autocast_of_fp32(device, gate_mode):
    x = random(2, 16, 4, 4).to(device, torch.float32)
    expected = sru(x, gate_mode=gate_mode)
    with torch.autocast(device, torch.bfloat16):
        y = sru(x, gate_mode=gate_mode)
    assert y.dtype == torch.float32
    assert torch.equal(y, expected)


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("fp32_parameters", [False, True])
@pytest.mark.parametrize(("gate_mode", "gate_input"), GATES)
def test_low_precision_is_fp32_rounded_once(low, autocast, fp32_parameters, gate_mode, gate_input):
    for norm in ops.NORMS:
        choices = {"gate_mode": gate_mode, "gate_input": gate_input, "norm": norm}
        check_low_precision("cpu", low, autocast=autocast, fp32_parameters=fp32_parameters, **choices)


@pytest.mark.parametrize("gate_mode", ops.GATE_MODES)
def test_autocast_leaves_an_fp32_input_in_fp32(gate_mode):
    check_autocast_of_fp32("cpu", gate_mode)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_low_precision_on_cuda():
    """CUDA's autocast has other lists of operators than the CPU's."""
    for gate_mode, gate_input in GATES:
        check_autocast_of_fp32("cuda", gate_mode)
        choices = {"gate_mode": gate_mode, "gate_input": gate_input}
        for low, autocast, fp32_parameters, norm in itertools.product(
            (torch.bfloat16, torch.float16), (False, True), (False, True), ops.NORMS
        ):
            check_low_precision("cuda", low, autocast=autocast, fp32_parameters=fp32_parameters, norm=norm, **choices)


@pytest.mark.parametrize("channels", [64, 512])
def test_a_gate_in_bf16_would_not_be_the_same(channels):
    """Why the gate is in fp32: public code run in bf16 gets another output in more than 1 % of the values.

    Its sigmoid rounds z of up to 2^-7 or so to 1/2 itself, which is not above the threshold.
    """
    x = random(2, channels, 8, 8).bfloat16()
    gn_x = torch.nn.functional.group_norm(x, 4, torch.ones(channels).bfloat16(), torch.zeros(channels).bfloat16())
    w = torch.sigmoid(gn_x * torch.full((channels, 1, 1), 1 / channels).bfloat16())
    w1 = torch.where(w > 0.5, torch.ones_like(w), w)
    w2 = torch.where(w > 0.5, torch.zeros_like(w), w)
    naive = (w1 * x + swap(w2 * x)).float()
    expected = sru(x.float())

    def share_moved(y):
        return ((y - expected).abs() > 0.05 * (x.abs() + swap(x).abs())).float().mean()

    assert share_moved(naive) > 0.01
    assert share_moved(sru(x).float()) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sru_keeps_the_precision_of_its_input(dtype):
    assert sru(random(1, 8, 2, 2).to(dtype)).dtype == dtype


def test_sru_in_fp64_is_more_than_fp32():
    x = random(2, 8, 3, 3)
    difference = (sru(x) - sru(x.float()).double()).abs().max()
    assert 0 < difference < 1e-6


# Fusion


def test_pairwise_weights_of_a_channel_sum_to_one():
    """So a branch fused with itself is itself."""
    y = random(2, 6, 3, 4)
    close(ops.cru_fuse(y, y, fusion="pairwise"), y)


def test_pairwise_weights_by_hand():
    """Means of ln 3 and 0 weigh 3/4 and 1/4, whatever the other channels hold."""
    y1 = torch.tensor([[3.0, 3.0], [1.0, 9.0]], dtype=torch.float64).log().view(1, 2, 1, 2)
    y2 = torch.tensor([[-1.0, 1.0], [2.0, -2.0]], dtype=torch.float64).view(1, 2, 1, 2)
    close(ops.cru_fuse(y1, y2), 0.75 * y1 + 0.25 * y2)


def test_joint_weights_sum_to_one_over_all_channels():
    """With equal means each of the 2C weights is 1 / 2C: a branch fused with itself is divided by C."""
    y = torch.ones(2, 8, 3, 3, dtype=torch.float64)
    close(ops.cru_fuse(y, y, fusion="joint"), y / 8)
    spread = torch.randn(2, 8, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fused = ops.cru_fuse(spread, spread + 1, fusion="joint")
    e1, e2 = spread.exp(), (spread + 1).exp()
    close(fused, (e1 * spread + e2 * (spread + 1)) / (e1 + e2).sum(1, keepdim=True))


@pytest.mark.parametrize("fusion", ops.FUSIONS)
def test_the_larger_mean_takes_all(fusion):
    y1, y2 = random(2, 1, 3, 3) + 800, random(2, 1, 3, 3, seed=1)
    close(ops.cru_fuse(y1, y2, fusion=fusion), y1)  # exp(800) overflows where a softmax does not
    close(ops.cru_fuse(y2, y1, fusion=fusion), y1)


@pytest.mark.parametrize("fusion", ops.FUSIONS)
def test_fusion_does_not_ask_which_branch_is_first(fusion):
    y1, y2 = random(2, 6, 3, 2), random(2, 6, 3, 2, seed=1)
    close(ops.cru_fuse(y1, y2, fusion=fusion), ops.cru_fuse(y2, y1, fusion=fusion))


def test_a_shift_of_all_means_leaves_the_weights():
    y1, y2 = random(2, 6, 3, 2), random(2, 6, 3, 2, seed=1)
    pairwise = ops.cru_fuse(y1 + 3, y2 + 3) - ops.cru_fuse(y1, y2)
    close(pairwise, torch.full_like(pairwise, 3.0))  # the two weights of each channel sum to 1
    joint = ops.cru_fuse(y1 + 3, y2 + 3, fusion="joint") - ops.cru_fuse(y1, y2, fusion="joint")
    close(joint.sum(1), torch.full_like(joint.sum(1), 3.0))  # all weights of a sample do


@pytest.mark.parametrize("fusion", ops.FUSIONS)
def test_fusion_gradcheck(fusion):
    y1, y2 = random(2, 3, 2, 2).requires_grad_(), random(2, 3, 2, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: ops.cru_fuse(a, b, fusion=fusion), (y1, y2))


@pytest.mark.parametrize("choice", ["norm", "gate_mode", "gate_input", "fusion"])
def test_an_unknown_choice_is_refused(choice):
    x = torch.randn(1, 4, 2, 2)
    fuse, reconstruct = ops.cru_fuse, lambda: ops.sru(x, torch.ones(4), torch.zeros(4), num_groups=2, **wrong)
    wrong = {choice: "Other"}
    with pytest.raises(UserError, match=rf"`{choice}` \(='Other'\) must be one of"):
        _ = fuse(x, x, fusion="Other") if choice == "fusion" else reconstruct()
