"""ScConv as the attention layer of timm's nets."""

from functools import partial

import pytest
import timm
import torch

from scconv_lab.nn import CRU, SE, SRU, ScConv


@pytest.mark.parametrize("unit", [SRU, CRU, ScConv, partial(ScConv, num_groups="auto"), SE])
def test_timm_builds_a_resnet_with_a_unit_in_each_block(unit):
    net = timm.create_model("resnet18", num_classes=10, block_args={"attn_layer": unit})
    cls = unit.func if isinstance(unit, partial) else unit
    assert [type(net.get_submodule(f"layer{stage}.{block}.se")) for stage in (1, 2, 3, 4) for block in (0, 1)] == 8 * [
        cls
    ]
    y = net(torch.randn(2, 3, 32, 32))
    assert y.shape == (2, 10)
    y.square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_timm_hands_on_device_and_type():
    net = timm.create_model("resnet18", block_args={"attn_layer": ScConv}, device="meta", dtype=torch.float64)
    assert {(p.device.type, p.dtype) for p in net.layer1[0].se.parameters()} == {("meta", torch.float64)}
