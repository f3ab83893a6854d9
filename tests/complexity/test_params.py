"""Parameters against arithmetic by hand."""

import torch
from torch import nn

from scconv_lab.complexity import PARTS, count_params, count_trainable, params_by_part
from scconv_lab.models import CifarResNet, ResNet
from scconv_lab.nn import SRU, RandomGateSRU, ScConv
from scconv_lab.surgery import apply_surgery


def test_weights_and_biases_count_and_buffers_do_not():
    assert count_params(nn.Conv2d(3, 8, 5)) == 3 * 8 * 25 + 8
    assert count_params(nn.BatchNorm2d(8)) == 16
    assert count_params(nn.ReLU()) == 0


def test_frozen_parameters_count_but_are_not_trainable():
    frozen = nn.Linear(4, 5).requires_grad_(False)
    assert count_params(frozen) == 25
    assert count_trainable(frozen) == 0
    assert count_trainable(nn.Sequential(frozen, nn.Linear(5, 2))) == 12
    assert count_trainable(RandomGateSRU(8)) == 0


def test_shared_parameters_count_once():
    linear = nn.Linear(4, 4)
    tied = nn.Linear(4, 4)
    tied.weight = linear.weight
    assert count_params(nn.Sequential(linear, linear)) == 20
    for net in (nn.Sequential(linear, tied), nn.Sequential(linear, linear)):
        assert count_trainable(net) == count_params(net) == sum(params_by_part(net).values())


def test_parts_of_a_plain_net():
    """ResNet-8: a stem, six 3x3 convolutions and two projections; a norm behind each; ten classes of 64 features."""
    convs = 9 * (3 * 16 + 2 * 16 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64) + 16 * 32 + 32 * 64
    norms = 2 * (3 * 16 + 3 * 32 + 3 * 64)
    parts = {"convs": convs, "norms": norms, "head": 650, "units": 0, "other": 0}
    assert params_by_part(CifarResNet(10, depth=8)) == parts
    assert tuple(parts) == PARTS


def test_a_units_own_convolutions_are_the_units():
    net = CifarResNet(10, depth=8)
    before = params_by_part(net)
    report = apply_surgery(net, ScConv)
    after = params_by_part(net)
    assert after["units"] == sum(edit.params_after for edit in report.edits)
    assert after["convs"] == before["convs"] - sum(edit.params_before for edit in report.edits)
    assert after["norms"] == before["norms"]  # SRU's Group Norm is the unit's
    assert sum(after.values()) == count_params(net)


def test_what_stands_beside_a_unit_is_not_the_units():
    net = CifarResNet(10, depth=8)
    before = params_by_part(net)
    apply_surgery(net, SRU, action="insert_after")
    assert params_by_part(net) == before | {"units": 2 * (16 + 32 + 64)}


def test_the_head_is_the_last_linear_layer_and_the_rest_is_other():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    net = nn.Sequential(nn.Linear(4, 6), Scale(), nn.LayerNorm(6), nn.Linear(6, 2))
    assert params_by_part(net) == {"convs": 0, "norms": 12, "head": 14, "units": 0, "other": 33}


def test_parts_of_resnet_50():
    with torch.device("meta"):
        net = ResNet(1000, depth=50)
    assert params_by_part(net) == {"convs": 23_454_912, "norms": 53_120, "head": 2_049_000, "units": 0, "other": 0}
