"""When the look ahead warns, when it does not, and that it leaves the net as it is."""

import copy
from functools import partial

import pytest
import timm.layers
import torch
import torchvision
from torch import nn
from torch.nn.utils import prune

from scconv_lab.models import CifarResNet
from scconv_lab.nn import CRU, READINGS, SRU, ScConv
from scconv_lab.surgery import apply_surgery, preflight

SMALL = (3, 16, 16)
HARD = {"gate_mode": "hard", "gate_input": "x"}


def warned(net, unit, image_shape=SMALL, **placement):
    return preflight(net, apply_surgery(net, unit, **placement), image_shape)


def conv_net(*behind, **geometry):
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, **geometry), *behind)


@pytest.mark.parametrize("action", ["replace", "insert_after", "insert_before", "insert_before_norm", "parallel"])
@pytest.mark.parametrize("unit", [SRU, ScConv, partial(ScConv, **READINGS["jacky"])])
def test_a_plain_good_surgery_has_no_warning(unit, action):
    assert warned(CifarResNet(10, depth=8), unit, action=action) == []


@pytest.mark.parametrize(
    ("fusion", "why"),
    [("joint", "the joint fusion makes its output about 1/C as large"), ("pairwise", "the fusion makes its output")],
)
@pytest.mark.parametrize("action", ["replace", "insert_after", "parallel"])
def test_a_fusion_without_a_norm_is_told(fusion, why, action):
    with torch.device("meta"):
        net = torchvision.models.vgg11()
    (warning,) = warned(net, partial(CRU, fusion=fusion), (3, 32, 32), sites={"in_channels": [64, 512]}, action=action)
    assert warning.startswith("no norm takes the output of the unit at features.3, features.6, features.8 and 4 more: ")
    assert why in warning


def test_each_fusion_has_a_line_of_its_own():
    net = nn.Sequential(*(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3)))
    fusions = iter(["joint", "pairwise", "joint"])
    warnings = warned(net, lambda channels: CRU(channels, fusion=next(fusions)), (8, 4, 4), sites="*")
    assert [w.partition(": ")[0] for w in warnings] == [
        "no norm takes the output of the unit at 0, 2",
        "no norm takes the output of the unit at 1",
    ]


def test_a_norm_takes_it():

    for policy in ("pool_before", "pool_after", "unit"):
        net = conv_net(nn.BatchNorm2d(8), stride=2)
        assert warned(net, ScConv, sites="1", stride_policy=policy) == []
    assert warned(conv_net(nn.GroupNorm(2, 8)), ScConv, sites="1", action="insert_after") == []
    assert warned(conv_net(nn.Identity(), nn.BatchNorm2d(8)), ScConv, sites="1") == []


def test_a_norm_inside_of_timms_convolution_takes_it():
    net = nn.Sequential(timm.layers.ConvNormAct(3, 8, 3), timm.layers.ConvNormAct(8, 8, 3))
    assert warned(net, ScConv, sites="1.conv") == []


def test_what_is_only_called_a_norm_does_not_take_it():
    net = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), timm.layers.ConvNormAct(8, 8, 3))
    assert "no norm takes the output of the unit at 0:" in warned(net, ScConv, (8, 8, 8), sites="0")[0]


def test_a_norm_behind_an_activation_does_not_take_it():
    assert (
        "no norm takes the output of the unit at 1:"
        in warned(conv_net(nn.ReLU(), nn.BatchNorm2d(8)), CRU, sites="1")[0]
    )


def test_sru_without_a_norm_is_no_matter():
    assert warned(conv_net(), SRU, sites="1") == []


@pytest.mark.parametrize("action", ["insert_before", "insert_before_norm"])
def test_what_is_put_before_another_part_needs_no_norm(action):
    """A norm stands right behind, or the convolution, whose norm follows as before."""
    assert warned(conv_net(nn.BatchNorm2d(8)), ScConv, sites="1", action=action) == []


def test_a_unit_shared_by_a_place_with_a_norm_and_one_without():
    shared = nn.Conv2d(8, 8, 3, padding=1)
    net = nn.Sequential(shared, nn.BatchNorm2d(8), shared)
    assert preflight(net, apply_surgery(net, ScConv, sites="0"), (8, 8, 8)) == []


def test_parameters_without_a_gradient_are_named():
    net = CifarResNet(10, depth=8)
    (warning,) = warned(net, partial(ScConv, **HARD))
    assert warning == (
        "no gradient reaches layer1.0.conv2.sru.weight, layer1.0.conv2.sru.bias, layer2.0.conv2.sru.weight and 3 more: "
        "they keep their first values; several processes need --trainer.strategy ddp_find_unused_parameters_true"
    )
    (warning,) = warned(CifarResNet(10, depth=8), partial(SRU, **HARD), sites="layer1.0.conv2", action="insert_after")
    assert warning.startswith("no gradient reaches layer1.0.conv2.unit.weight, layer1.0.conv2.unit.bias: they keep")


def test_frozen_parameters_are_not_named():
    net = CifarResNet(10, depth=8)
    report = apply_surgery(net, partial(ScConv, **HARD))
    for name, parameter in net.named_parameters():
        parameter.requires_grad_("sru" not in name)
    assert preflight(net, report, SMALL) == []


def test_a_net_that_is_frozen_throughout():
    net = CifarResNet(10, depth=8)
    report = apply_surgery(net, ScConv)
    assert preflight(net.requires_grad_(False), report, SMALL) == []


def test_replacements_that_grow_are_told():
    """A depthwise convolution has few parameters."""
    net = nn.Sequential(*(part for _ in range(5) for part in (*conv_net(groups=8)[1:], nn.BatchNorm2d(8))))
    added = sum(p.numel() for p in ScConv(8).parameters()) - 80
    (warning,) = warned(net, ScConv, (8, 8, 8), sites="*")
    names = "0, 2, 4 and 2 more"
    assert warning == f"the replacement has {5 * added:,} params more than the convolution at {names}"


@pytest.mark.parametrize("action", ["insert_after", "insert_before", "insert_before_norm", "parallel"])
def test_insertions_grow_as_they_must(action):
    assert warned(conv_net(nn.BatchNorm2d(8), groups=8), ScConv, sites="1", action=action) == []


def test_only_what_grew_is_counted():
    net = nn.Sequential(*conv_net(nn.BatchNorm2d(8)), *conv_net(groups=8)[1:], nn.BatchNorm2d(8))
    added = sum(p.numel() for p in ScConv(8).parameters()) - 80
    assert warned(net, ScConv, sites=["1", "3"]) == [
        f"the replacement has {added:,} params more than the convolution at 3"
    ]


def test_several_warnings_come_together():
    warnings = warned(conv_net(groups=8), partial(ScConv, fusion="joint", **HARD), sites="1")
    assert [w.split(" at ")[0].split(" reaches")[0].split(" params")[0] for w in warnings] == [
        "no norm takes the output of the unit",
        "no gradient",
        "the replacement has 60",
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
def test_the_net_stays_as_it_was(training, dtype):
    net = CifarResNet(10, depth=8)
    net.fc = nn.Sequential(nn.Dropout(0.5), net.fc)
    net = net.to(dtype).train(training)
    net.layer2.train(not training)
    report = apply_surgery(net, ScConv)
    modes = {name: module.training for name, module in net.named_modules()}
    tensors = {name: (tensor, tensor.clone()) for name, tensor in net.state_dict(keep_vars=True).items()}
    random_state = torch.get_rng_state()
    hooks = copy.deepcopy([len(module._forward_hooks) + len(module._forward_pre_hooks) for module in net.modules()])
    assert preflight(net, report, SMALL) == []
    assert {name: module.training for name, module in net.named_modules()} == modes
    after = net.state_dict(keep_vars=True)
    assert all(after[name] is tensor and torch.equal(tensor, value) for name, (tensor, value) in tensors.items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in net.modules()] == hooks


def test_gradients_that_are_there_stay():
    net = CifarResNet(10, depth=8)
    report = apply_surgery(net, partial(ScConv, **HARD))
    net(torch.randn(2, *SMALL)).sum().backward()
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    assert len(preflight(net, report, SMALL)) == 1
    assert all(torch.equal(parameter.grad, torch.ones_like(parameter)) for parameter in net.parameters())


def test_hooks_of_the_net_are_not_called():
    net = CifarResNet(10, depth=8)
    calls = []
    net.register_forward_hook(lambda *_: calls.append("forward"))
    net.layer1.register_full_backward_hook(lambda *_: calls.append("backward"))
    assert warned(net, ScConv) == []
    assert calls == []


def test_a_net_with_several_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.heads = CifarResNet(10, depth=8), nn.ModuleList([nn.Linear(10, 2), nn.Linear(10, 3)])

        def forward(self, x):
            y = self.body(x)
            return self.heads[0](y), {"side": self.heads[1](y)}

    assert warned(Two(), ScConv) == []


def test_a_pruned_net():
    net = CifarResNet(10, depth=8)
    prune.l1_unstructured(net.conv1, "weight", amount=0.5)
    assert warned(net, ScConv, action="insert_after") == []


def test_a_norm_over_the_last_axis_takes_it():
    """As in ConvNeXt, where the norm gets a permuted view of what the convolution makes."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.LayerNorm(8)

        def forward(self, x):
            return self.norm(self.conv(x).permute(0, 2, 3, 1))

    assert warned(Block(), ScConv, (8, 4, 4), sites="conv") == []


def test_a_replacement_of_as_many_parameters_has_not_grown():
    net = conv_net(nn.BatchNorm2d(8))
    assert warned(net, lambda channels: nn.Conv2d(channels, channels, 3, padding=1), sites="1") == []


def test_the_look_is_at_a_training_step_even_of_a_net_in_eval_mode():
    class WithSideHead(CifarResNet):
        def __init__(self):
            super().__init__(10, depth=8)
            self.side = nn.Linear(3, 10)

        def forward(self, x):
            y = super().forward(x)
            return y + self.side(x.mean((2, 3))) if self.training else y

    assert warned(WithSideHead().eval(), ScConv) == []
