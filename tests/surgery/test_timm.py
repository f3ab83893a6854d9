"""Surgery on every net of timm, and on those for which the seed's own ScConv crashes."""

from functools import partial

import pytest
import timm
import torch
import torchvision
from torch import nn

from scconv_lab.errors import UserError
from scconv_lab.nn import ScConv
from scconv_lab.surgery import apply_surgery, select_sites

UNIT = partial(ScConv, num_groups="auto", groups="auto")
SITES = {"kernel_size": 3, "in_channels": [8, 100_000]}

ACTIONS = ["replace", "insert_after"]
SAMPLE = ["test_byobnet", "test_coatnet", "test_efficientnet", "test_mambaout", "test_nfnet", "test_resnet"]
SMALL = ["test_byobnet", "test_efficientnet", "test_resnet"]
MORE_SMALL = [
    "efficientnet_b0",
    "ghostnet_050",
    "lcnet_035",
    "mobilenetv3_small_050",
    "regnetx_002",
    "repvgg_a0",
    "resnetv2_50",
]

quiet = pytest.mark.filterwarnings("ignore")  # timm's own, of names and functions that it means to drop


def tensors_of(output):
    """Classifiers give a tensor, and some a tuple or a list of them."""
    return [output] if isinstance(output, torch.Tensor) else [part for parts in output for part in tensors_of(parts)]


def built(name, device):
    with torch.device(device):
        return timm.create_model(name, num_classes=10)


def operate(net, action):
    """Operate; a refusal names at least one of the sites, and shows in pytest's summary as a skip."""
    try:
        return apply_surgery(net, UNIT, sites=SITES, action=action)
    except UserError as error:
        message = str(error)
    assert any(f": {site}: " in message for site in select_sites(net, SITES)), message
    return pytest.skip(f"refused: {message}")


def check_on_meta(name, action):
    net = built(name, "meta")
    if not any(isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3) and m.in_channels >= 8 for m in net.modules()):
        pytest.skip("has no 3x3 convolution of 8 channels or more")
    x = torch.empty(2, *net.default_cfg["input_size"], device="meta")
    expected = [part.shape for part in tensors_of(net(x))]
    report = operate(net, action)
    assert report.edits
    output = tensors_of(net(x))
    assert [part.shape for part in output] == expected
    sum(part.sum() for part in output).backward()
    reached = [all(p.grad is not None for p in net.get_submodule(edit.unit).parameters()) for edit in report.edits]
    assert any(reached)
    return net, report


@quiet
@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.parametrize("action", ACTIONS)
def test_timm_nets_of_several_families(name, action):
    net, report = check_on_meta(name, action)
    assert len(report.edits) == len({edit.unit for edit in report.edits})
    for edit in report.edits:
        assert all(p.grad is not None for p in net.get_submodule(edit.unit).parameters()), edit.unit


@pytest.mark.slow
@pytest.mark.full
@quiet
@pytest.mark.parametrize("name", timm.list_models())
@pytest.mark.parametrize("action", ACTIONS)
def test_every_timm_net_keeps_its_shapes_or_names_what_it_refuses(name, action):
    """About 5 s a net and an hour in all on one core; `-k` chooses among the names, `-ra` lists the refusals."""
    check_on_meta(name, action)


def check_for_real(net, size, action, **placement):
    torch.manual_seed(0)
    x = torch.randn(2, 3, size, size)
    expected = [part.shape for part in tensors_of(net(x))]
    report = apply_surgery(net, UNIT, action=action, **placement)
    output = tensors_of(net(x))
    assert [part.shape for part in output] == expected
    assert all(part.isfinite().all() for part in output)
    sum(part.square().sum() for part in output).backward()
    grads = {name: parameter.grad for name, parameter in net.named_parameters()}
    assert all(grad.isfinite().all() for grad in grads.values() if grad is not None)
    for edit in report.edits:
        of_unit = [grad for name, grad in grads.items() if name.startswith(f"{edit.unit}.")]
        assert of_unit
        assert all(grad is not None for grad in of_unit), edit.unit


@quiet
@pytest.mark.parametrize("name", [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE_SMALL)])
@pytest.mark.parametrize("action", ACTIONS)
def test_small_timm_nets_train_on_real_tensors(name, action):
    check_for_real(built(name, "cpu"), 64, action, sites=SITES)


# The seed's nets: its ScConv meets four times the channels that it was made for in all but the first


@pytest.mark.parametrize(
    ("name", "action", "count"),
    [
        ("resnet50", "insert_after", 16),
        ("resnext50_32x4d", "insert_after", 16),
        ("resnet50", "replace", 16),
        ("resnext50_32x4d", "replace", 16),
        *(
            pytest.param(name, action, 33, marks=pytest.mark.slow)
            for name in ("resnet101", "resnext101_32x8d")
            for action in ACTIONS
        ),
    ],
)
def test_bottleneck_nets_of_the_seed_run(name, action, count):
    with torch.device("meta"):
        net = torchvision.models.get_model(name, num_classes=4)
        report = apply_surgery(net, ScConv, action=action)
        y = net(torch.empty(2, 3, 512, 512))
    assert y.shape == (2, 4)
    y.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert len(report.edits) == count


@pytest.mark.parametrize("action", ACTIONS)
def test_resnet34_of_the_seed_trains(action):
    check_for_real(torchvision.models.resnet34(num_classes=4), 64, action)


def test_resnet34_of_the_seed_has_its_parameters():
    """23,577,220 with ScConv after every second convolution; the plain net has 21,286,724."""
    with torch.device("meta"):
        net = torchvision.models.resnet34(num_classes=4)
    report = apply_surgery(net, ScConv, action="insert_after")
    assert sum(parameter.numel() for parameter in net.parameters()) == 23_577_220
    assert report.params_added == 23_577_220 - 21_286_724
