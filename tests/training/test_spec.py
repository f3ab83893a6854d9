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
    assert isinstance(build("surgery.unit", {"class_path": "torch.nn.ReLU"}), torch.nn.ReLU)
    assert isinstance(build("surgery.unit", {"class_path": "torch.nn.ReLU", "init_args": None}), torch.nn.ReLU)


def test_a_refused_value_names_key_and_class() -> None:
    rule = r"`surgery.unit` \(scconv_lab.nn.SRU\): `channels` \(=7\) must be divisible by `num_groups`"
    with pytest.raises(UserError, match=rule):
        build("surgery.unit", {"class_path": "scconv_lab.nn.SRU"}, 7)


def test_a_spec_without_a_class_is_refused() -> None:
    with pytest.raises(UserError, match=r"`net` .* must name a class"):
        build("net", {"depth": 8})


@pytest.mark.parametrize(
    ("key", "class_path", "init_args", "reason"),
    [
        ("surgery.unit", "torch.nn.BatchNorm2d", {"num_features": -3}, "negative dimension"),
        ("surgery.unit", "torch.nn.BatchNorm2d", {"num_features": 10**30}, "Overflow"),
        ("surgery.unit", "torch.nn.BatchNorm2d", {"num_features": "x"}, ""),
        ("net", "scconv_lab.models.ResNeXt", {"num_classes": 10, "width_per_group": -64}, "negative dimension"),
    ],
)
def test_what_a_library_refuses_is_the_users(
    key: str, class_path: str, init_args: dict[str, object], reason: str
) -> None:
    message = rf"^`{key}` \({class_path}\) cannot be built of these values: .*{reason}"
    with pytest.raises(UserError, match=message) as error:
        build(key, {"class_path": class_path, "init_args": init_args})
    assert "\n" not in str(error.value)


def test_what_our_code_stumbles_over_is_a_defect() -> None:
    with pytest.raises(TypeError):
        build("net", {"class_path": "scconv_lab.models.CifarResNet", "init_args": {"num_classes": 10, "depth": None}})
