import pytest
import torch

from scconv_lab.errors import UserError
from scconv_lab.nn import SRU
from scconv_lab.training.spec import build


def test_builds_the_class_with_its_arguments() -> None:
    sru = build("surgery.unit", {"class_path": "scconv_lab.nn.SRU", "init_args": {"num_groups": 2}}, 8)
    assert isinstance(sru, SRU)
    assert sru.num_groups == 2


def test_arguments_may_be_left_out() -> None:
    assert isinstance(build("x", {"class_path": "torch.nn.ReLU"}), torch.nn.ReLU)
    assert isinstance(build("x", {"class_path": "torch.nn.ReLU", "init_args": None}), torch.nn.ReLU)


def test_a_refused_value_names_key_and_class() -> None:
    rule = r"`surgery.unit` \(scconv_lab.nn.SRU\): `channels` \(=7\) must be divisible by `num_groups`"
    with pytest.raises(UserError, match=rule):
        build("surgery.unit", {"class_path": "scconv_lab.nn.SRU"}, 7)


def test_a_spec_without_a_class_is_refused() -> None:
    with pytest.raises(UserError, match=r"`net` .* must name a class"):
        build("net", {"depth": 8})
