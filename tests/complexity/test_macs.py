"""MACs against formulas by hand."""

import pytest
import torch
from torch import nn

from scconv_lab.complexity import count_macs
from scconv_lab.models import CifarResNet, ResNet
from scconv_lab.nn import CRU, SRU, ScConv


@pytest.mark.parametrize(
    ("arguments", "height", "width"),
    [
        ({"kernel_size": 3, "padding": 1}, 7, 9),
        ({"kernel_size": 3}, 5, 7),
        ({"kernel_size": 3, "padding": 1, "stride": 2}, 4, 5),
        ({"kernel_size": 3, "padding": 1, "bias": False}, 7, 9),
        ({"kernel_size": 3, "padding": 1, "groups": 4}, 7, 9),
        ({"kernel_size": (1, 5), "padding": (0, 2), "groups": 2, "stride": (1, 3)}, 7, 3),
        ({"kernel_size": 3, "padding": 2, "dilation": 2}, 7, 9),
    ],
    ids=str,
)
def test_a_convolution(arguments, height, width):
    """C_in / groups * k_h * k_w for each of C_out * H * W outputs; a bias adds no multiplication."""
    conv = nn.Conv2d(8, 12, **arguments)
    k_h, k_w = conv.kernel_size
    assert count_macs(conv, (8, 7, 9)) == 8 // conv.groups * k_h * k_w * 12 * height * width


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer(bias):
    net = nn.Sequential(nn.Flatten(), nn.Linear(24, 10, bias=bias))
    assert count_macs(net, (2, 3, 4)) == 24 * 10


def test_layers_add_up_and_norms_and_pools_are_free():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(8, 4, 1)
    )
    assert count_macs(net, (3, 6, 6)) == 3 * 8 * 9 * 36 + 8 * 4 * 9


def test_a_layer_counts_as_often_as_it_is_called():
    conv = nn.Conv2d(4, 4, 1)
    assert count_macs(nn.Sequential(conv, conv), (4, 5, 5)) == 2 * count_macs(conv, (4, 5, 5))


def test_sru_counts_nothing():
    assert count_macs(SRU(16), (16, 8, 8)) == 0
    assert count_macs(ScConv(16), (16, 8, 8)) == count_macs(CRU(16), (16, 8, 8))


@pytest.mark.parametrize(
    ("eighths", "ratio"), [(1, 9.18), (2, 7.29), (3, 5.95), (4, 4.97), (5, 4.21), (6, 3.62), (7, 3.15)]
)
def test_cru_against_a_3x3_convolution(eighths, ratio):
    """Equation 11 counts weights; every weight multiplies once a pixel."""
    cru, conv = CRU(64, alpha=eighths / 8), nn.Conv2d(64, 64, 3, padding=1)
    assert count_macs(conv, (64, 5, 5)) / count_macs(cru, (64, 5, 5)) == pytest.approx(ratio, abs=0.005)


def test_resnet_34_at_512():
    with torch.device("meta"):
        net = ResNet(1000, depth=34)
    assert count_macs(net, (3, 512, 512)) == 19_139_121_152


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_counting_leaves_the_net_and_the_random_numbers_alone(dtype, training):
    net = CifarResNet(10, depth=8).to(dtype).train(training)
    net.layer2.train(not training)
    modes = [module.training for module in net.modules()]
    tensors = {name: (tensor, tensor.detach().clone()) for name, tensor in net.state_dict(keep_vars=True).items()}
    random_state = torch.get_rng_state()
    assert count_macs(net, (3, 32, 32)) == 12_501_632
    assert [module.training for module in net.modules()] == modes
    after = net.state_dict(keep_vars=True)
    assert after.keys() == tensors.keys()
    for name, (tensor, value) in tensors.items():
        assert after[name] is tensor
        assert tensor.device.type == "cpu"
        assert torch.equal(tensor, value)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert net(torch.randn(2, 3, 8, 8, dtype=dtype)).shape == (2, 10)
