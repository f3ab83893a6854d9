"""Copies without values."""

import torch
from torch import nn
from torch.nn.utils import prune

from scconv_lab.meta import meta_copy


def test_a_copy_has_the_shapes_and_the_original_its_values():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).eval()
    net[0].weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    copied = meta_copy(net)
    assert {tensor.device.type for tensor in copied.state_dict().values()} == {"meta"}
    assert copied(torch.empty(2, 3, 5, 5, device="meta")).shape == (2, 8, 3, 3)
    assert [p.requires_grad for p in copied.parameters()] == [p.requires_grad for p in net.parameters()]
    assert not copied[1].training
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_what_is_shared_stays_shared():
    conv = nn.Conv2d(4, 4, 1)
    copied = meta_copy(nn.Sequential(conv, nn.ReLU(), conv))
    assert copied[0] is copied[2]
    assert copied[0] is not conv


def test_a_pruned_module_can_be_copied():
    conv = nn.Conv2d(4, 4, 3)
    prune.l1_unstructured(conv, "weight", amount=0.5)
    conv(torch.randn(1, 4, 5, 5))
    copied = meta_copy(conv)
    assert copied(torch.empty(1, 4, 5, 5, device="meta")).shape == (1, 4, 3, 3)
