"""What units say of inputs and arguments that they cannot take, and the tools that run them without data."""

import copy
import re
import warnings

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.fx import symbolic_trace
from torch.fx.experimental.proxy_tensor import make_fx

from scconv_lab.errors import UserError
from scconv_lab.nn import (
    CRU,
    READINGS,
    SE,
    SRU,
    DepthwiseSeparableConv,
    GroupConv,
    RandomGateSRU,
    ScConv,
    ShuffledGammaSRU,
    UngatedSRU,
)

JACKY = {"norm": "unbiased", "gate_mode": "hard", "gate_input": "normalized"}
BUILD = {
    "SRU": lambda: SRU(16),
    "SRU as jacky": lambda: SRU(16, **JACKY),
    "SRU to 32": lambda: SRU(16, out_channels=32),
    "CRU": lambda: CRU(16),
    "CRU with stride": lambda: CRU(16, stride=2, stride_in="gwc"),
    "ScConv": lambda: ScConv(16),
    "ScConv as jacky": lambda: ScConv(16, **READINGS["jacky"]),
    "ScConv, CRU first": lambda: ScConv(16, order="cru_sru", out_channels=32),
    "ScConv, parallel with stride": lambda: ScConv(16, order="parallel", stride=2),
    "UngatedSRU": lambda: UngatedSRU(16),
    "RandomGateSRU": lambda: RandomGateSRU(16),
    "ShuffledGammaSRU": lambda: ShuffledGammaSRU(16),
    "GroupConv": lambda: GroupConv(16),
    "DepthwiseSeparableConv": lambda: DepthwiseSeparableConv(16),
    "SE": lambda: SE(16, reduction=4),
}

each = pytest.mark.parametrize("build", BUILD.values(), ids=BUILD)


def images(*shape: int) -> torch.Tensor:
    return torch.randn(*(shape or (2, 16, 8, 8)), generator=torch.Generator().manual_seed(0))


@each
@pytest.mark.parametrize(
    "shape", [(), (16,), (4, 16), (4, 16, 8), (16, 8, 8), (2, 32, 8, 8), (2, 1, 8, 8), (2, 8, 8, 16), (2, 16, 4, 8, 8)]
)
def test_another_shape_is_refused(build, shape):
    with pytest.raises(UserError, match=re.escape("of 16 channels takes an input of shape (B, 16, H, W)")) as error:
        build()(torch.ones(shape))
    assert str(error.value).endswith(f"this one has {tuple(shape)}")


@each
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.complex64], ids=str)
def test_another_type_is_refused(build, dtype):
    with pytest.raises(UserError, match=rf"takes floating-point values, and this input has {dtype}; convert it"):
        build()(torch.ones(2, 16, 8, 8).to(dtype))


@each
@pytest.mark.filterwarnings("ignore:std_mean:UserWarning")  # of torch, whose deviation of nothing is right
@pytest.mark.parametrize("batch", [0, 1])
def test_an_empty_batch_gives_one(build, batch):
    x = images(batch, 16, 8, 8).requires_grad_()
    y = build()(x)
    assert y.shape[0] == batch
    y.sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("build", [SRU, UngatedSRU, ShuffledGammaSRU, ScConv])
def test_one_value_a_group_has_no_deviation(build):
    unit = build(16, num_groups=16, norm="unbiased")
    with pytest.raises(UserError, match=r"`num_groups` \(=16\) leaves one value in each group of a map of 1 x 1"):
        unit(images(2, 16, 1, 1))
    assert unit(images(2, 16, 1, 2)).isfinite().all()
    assert build(16, num_groups=8, norm="unbiased")(images(2, 16, 1, 1)).isfinite().all()
    assert build(16, num_groups=16)(images(2, 16, 1, 1)).isfinite().all()


@each
def test_no_value_is_looked_at(build):
    """On fake tensors, which have none."""
    with FakeTensorMode():
        assert build()(torch.randn(2, 16, 8, 8)).shape[0] == 2
    with torch.device("meta"):
        assert build()(torch.randn(2, 16, 8, 8)).shape[0] == 2


@each
@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx(build, mode):
    net, x = build().eval(), images()
    values = dict(net.named_parameters()) | dict(net.named_buffers())
    graph = make_fx(lambda values, x: functional_call(net, values, (x,)), tracing_mode=mode)(values, x)
    torch.testing.assert_close(graph(values, x), net(x))


@each
def test_an_ensemble_by_vmap_over_parameters(build):
    nets, x = [build() for _ in range(3)], images()
    values = stack_module_state(nets)
    shell = copy.deepcopy(nets[0]).to("meta")
    together = vmap(lambda own, buffers: functional_call(shell, (own, buffers), (x,)))(*values)
    torch.testing.assert_close(together, torch.stack([net(x) for net in nets]))


@each
def test_gradients_of_each_sample(build):
    net, x = build(), images()
    values = {name: value.detach() for name, value in net.named_parameters()}

    def loss(values, image):
        return functional_call(net, values, (image[None],)).square().sum()

    of_each = vmap(grad(loss), in_dims=(None, 0))(values, x)
    loss_of_all = sum(loss(dict(net.named_parameters()), image) for image in x)
    names = [name for name, value in net.named_parameters() if value.requires_grad]
    if not names:
        return
    both = torch.autograd.grad(loss_of_all, [dict(net.named_parameters())[name] for name in names], allow_unused=True)
    for name, expected in zip(names, both, strict=True):
        if expected is not None:
            torch.testing.assert_close(of_each[name].sum(0), expected, rtol=1e-3, atol=1e-4)


@each
def test_torchscript_by_tracing_keeps_the_size_free(build):
    net = build().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit itself
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # torch's own functions
        traced = torch.jit.trace(net, images(), check_trace=False)
    for x in (images(), images(3, 16, 6, 10)):
        torch.testing.assert_close(traced(x), net(x))


@each
def test_torchscript(build):
    net = build().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit itself
        scripted = torch.jit.script(net)
    assert torch.equal(scripted(images()), net(images()))


@each
def test_symbolic_tracing(build):
    net = nn.Sequential(build(), nn.ReLU()).eval()
    assert torch.equal(symbolic_trace(net)(images()), net(images()))


@pytest.mark.parametrize("wrong", ["0.5", None, [0.5], True, 0, 1, float("nan"), 1j])
def test_a_share_of_the_wrong_type_or_size_is_refused(wrong):
    with pytest.raises(UserError, match=re.escape(f"`gate_threshold` (={wrong!r}) must lie between 0 and 1")):
        SRU(16, gate_threshold=wrong)
    with pytest.raises(UserError, match=re.escape(f"`alpha` (={wrong!r}) must lie between 0 and 1")):
        CRU(16, alpha=wrong)


@pytest.mark.parametrize("name", ["num_groups", "groups", "squeeze_ratio", "kernel_size", "stride", "dilation"])
@pytest.mark.parametrize("wrong", ["two", None, [2], 2.0, True])
def test_a_number_of_the_wrong_type_is_refused(name, wrong):
    with pytest.raises(UserError, match=rf"`{name}` \(="):
        ScConv(16, **{name: wrong})


def test_a_reading_that_is_none_names_the_nearest():
    with pytest.raises(UserError, match=r"there is no reading 'cheng-haha'; did you mean 'cheng_haha'\?"):
        READINGS["cheng-haha"]
    assert READINGS.get("none") is None
