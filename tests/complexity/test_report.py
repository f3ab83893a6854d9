"""All counts of a net together."""

import pytest
import torch
from torch import Tensor, nn

from scconv_lab.complexity import Work, compare_counters, count_cost, count_macs, count_params, count_work
from scconv_lab.models import CifarResNet, ResNet
from scconv_lab.nn import CRU, SRU, ScConv, Unit
from scconv_lab.surgery import apply_surgery
from tests.complexity.formulas import unit_work


@pytest.fixture(scope="module")
def net():
    net = CifarResNet(10, depth=8)
    apply_surgery(net, ScConv)
    return net


@pytest.fixture(scope="module")
def cost(net):
    return count_cost(net, (3, 16, 16))


def test_it_is_what_each_counter_says(net, cost):
    assert cost.image_shape == (3, 16, 16)
    assert cost.params == cost.params_trainable == count_params(net) == sum(cost.params_by_part.values())
    assert cost.macs == count_macs(net, (3, 16, 16))
    assert cost.flops == 2 * cost.macs
    assert cost.work == count_work(net, (3, 16, 16))
    assert list(cost.operators) == compare_counters(net, (3, 16, 16))


def test_units_and_their_parts(cost):
    whole, sru, cru = cost.units
    assert [unit.unit for unit in cost.units] == ["ScConv", "ScConv.sru", "ScConv.cru"]
    assert [unit.count for unit in cost.units] == [3, 3, 3]
    assert whole.params == sru.params + cru.params == cost.params_by_part["units"]
    assert (whole.macs, sru.macs) == (cru.macs, 0)
    assert whole.work == sru.work + cru.work
    shapes = [(16, 16, 16), (32, 8, 8), (64, 4, 4)]
    assert sru.work == sum((unit_work(SRU(shape[0]), shape) for shape in shapes), Work())
    assert cru.macs == sum(count_macs(CRU(shape[0]), shape) for shape in shapes)
    assert sru.least_bytes == sum(4 * (2 * c * h * w + 2 * c) for c, h, w in shapes)


def test_a_plain_net_has_no_units():
    assert count_cost(CifarResNet(10, depth=8), (3, 8, 8)).units == ()


def test_a_unit_by_itself():
    unit = ScConv(16)
    cost = count_cost(unit, (16, 4, 4))
    assert [part.unit for part in cost.units] == ["ScConv", "ScConv.sru", "ScConv.cru"]
    assert cost.units[0].macs == cost.macs == count_macs(unit, (16, 4, 4))
    assert cost.units[0].work == cost.work


def test_a_unit_without_a_formula_is_counted():
    class Doubled(Unit):
        def forward(self, x: Tensor) -> Tensor:
            return x + x

    (row,) = count_cost(nn.Sequential(nn.Conv2d(3, 4, 1), Doubled()), (3, 5, 5)).units
    assert (row.unit, row.work) == ("Doubled", Work(pointwise=100, bytes_moved=1200))


def test_a_unit_that_is_not_used_costs_its_parameters_alone():
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = SRU(8)

        def forward(self, x: Tensor) -> Tensor:
            return x.relu()

    cost = count_cost(Lazy(), (3, 4, 4))
    assert cost.units == ()
    assert cost.params_by_part["units"] == 16


def test_figures_and_rows(cost):
    figures = cost.figures()
    assert figures["params_units"] == cost.params_by_part["units"]
    assert figures["macs_torchinfo"] == sum(row.torchinfo for row in cost.operators) > figures["macs"]
    rows = list(cost.rows())
    assert len({row[:3] for row in rows}) == len(rows)
    assert ("counted", "net", "macs", cost.macs) in rows
    assert ("operators", "biases", "flop_counter", 0) in rows
    assert ("units", "ScConv.sru", "pointwise", cost.units[1].work.pointwise) in rows


def test_counting_leaves_the_net_and_the_random_numbers_alone(net):
    modes = [module.training for module in net.modules()]
    values = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    random_state = torch.get_rng_state()
    count_cost(net, (3, 8, 8))
    assert torch.equal(torch.get_rng_state(), random_state)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(tensor, values[name]) for name, tensor in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_what_sru_costs_resnet_50():
    """No MAC, and a third of the net's point-wise work."""
    with torch.device("meta"):
        net = ResNet(1000, depth=50)
        apply_surgery(net, SRU, action="insert_after")
    cost = count_cost(net, (3, 224, 224))
    assert cost.macs == 4_089_184_256
    (sru,) = cost.units
    assert (sru.count, sru.params, sru.macs) == (16, 7_552, 0)
    assert sru.work.pointwise / cost.work.pointwise > 0.3
    assert sru.work.bytes_moved > 11 * sru.least_bytes
