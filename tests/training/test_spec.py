"""Plain descriptions become objects, and only of what belongs there."""

import sys
from pathlib import Path

import pytest
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from scconv_lab.errors import UserError
from scconv_lab.models import Net
from scconv_lab.nn import SRU, Unit
from scconv_lab.training.spec import build, descriptions_from, require_no_code, resolve_class

PLAIN = {"class_path": "scconv_lab.models.CifarResNet"}


def test_builds_the_class_with_its_arguments() -> None:
    sru = build("surgery.unit", {"class_path": "scconv_lab.nn.SRU", "init_args": {"num_groups": 2}}, 8, base=Unit)
    assert isinstance(sru, SRU)
    assert sru.num_groups == 2


def test_arguments_may_be_left_out() -> None:
    for spec in ({"class_path": "torch.nn.ReLU"}, {"class_path": "torch.nn.ReLU", "init_args": None}):
        assert isinstance(build("x", spec, base=torch.nn.Module), torch.nn.ReLU)


def test_a_refused_value_names_key_and_class() -> None:
    rule = r"`surgery.unit` \(scconv_lab.nn.SRU\): `channels` \(=7\) must be divisible by `num_groups`"
    with pytest.raises(UserError, match=rule):
        build("surgery.unit", {"class_path": "scconv_lab.nn.SRU"}, 7, base=Unit)


@pytest.mark.parametrize(
    ("class_path", "init_args", "reason"),
    [
        ("torch.nn.BatchNorm2d", {"num_features": -3}, "negative dimension"),
        ("torch.nn.BatchNorm2d", {"num_features": 10**30}, "Overflow"),
        ("torch.nn.BatchNorm2d", {"num_features": "x"}, ""),
        ("scconv_lab.models.ResNeXt", {"num_classes": 10, "width_per_group": -64}, "negative dimension"),
    ],
)
def test_what_a_library_refuses_is_the_users(class_path: str, init_args: dict[str, object], reason: str) -> None:
    message = rf"^`net` \({class_path}\) cannot be built of these values: .*{reason}"
    with pytest.raises(UserError, match=message) as error:
        build("net", {"class_path": class_path, "init_args": init_args}, base=torch.nn.Module)
    assert "\n" not in str(error.value)


def test_what_our_code_stumbles_over_is_a_defect() -> None:
    with pytest.raises(TypeError):
        build("net", PLAIN | {"init_args": {"num_classes": 10, "depth": None}}, base=Net)


@pytest.mark.parametrize(
    ("class_path", "base"),
    [
        ("os.system", Net),
        ("scconv_lab.training.spec.importlib.import_module", Net),
        ("torch.hub.load", Net),
        ("torch.nn.ReLU", Net),
        ("scconv_lab.models.without_pretrained", Net),
        ("scconv_lab.models.Net.forward", Net),
        ("builtins.exec", Unit),
        ("torch.nn.functional.relu", Unit),
        ("scconv_lab.nn.READINGS", Unit),
        ("torch.optim.lr_scheduler.StepLR", Optimizer),
        ("torch.optim.SGD", LRScheduler),
        ("nowhere.Net", Net),
        ("", Net),
        (".", Net),
        ("Net", Net),
        ("..", Net),
    ],
)
def test_what_is_no_subclass_of_what_belongs_there_is_refused_and_not_called(class_path: str, base: type) -> None:
    with pytest.raises(UserError, match=r"^`x` names .* which is (no|not there)"):
        resolve_class("x", {"class_path": class_path}, base)


@pytest.mark.parametrize("spec", [None, 3, "scconv_lab.nn.SRU", [], {"depth": 8}, {"class_path": 3}])
def test_what_is_no_description_is_refused(spec: object) -> None:
    with pytest.raises(UserError, match=r"^`x` .* must name a class"):
        resolve_class("x", spec, Net)


@pytest.mark.parametrize("init_args", [3, "x", [1]])
def test_arguments_must_be_a_mapping(init_args: object) -> None:
    with pytest.raises(UserError, match=r"`x.init_args` .* must hold arguments"):
        build("x", PLAIN | {"init_args": init_args}, base=Net)


class TestDescriptionsFromAFile:
    """A file may name the lab's and torch's classes; nothing else is even imported."""

    @pytest.fixture
    def sentinel(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A module that leaves a file when it is imported; its class is a perfectly good net."""
        made = tmp_path / "made"
        lines = ["import pathlib", f"pathlib.Path({str(made)!r}).touch()", "from scconv_lab.models import Net", "", ""]
        lines += ["class Good(Net):", "    def __init__(self, classes):", "        super().__init__()", ""]
        (tmp_path / "sentinel.py").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(str(tmp_path))
        return made

    def test_the_classes_of_the_lab_and_of_torch_pass(self) -> None:
        with descriptions_from("x.ckpt", trust_code=False):
            for path, base in (
                ("scconv_lab.models.ResNet", Net),
                ("scconv_lab.models.resnet.ResNet", Net),
                ("scconv_lab.nn.SRU", Unit),
                ("torch.nn.BatchNorm2d", Unit),
                ("torch.optim.SGD", Optimizer),
                ("torch.optim.lr_scheduler.StepLR", LRScheduler),
            ):
                assert resolve_class("x", {"class_path": path}, base)

    @pytest.mark.parametrize("base", [Net, Unit, Optimizer, LRScheduler])
    def test_other_code_is_not_imported(self, sentinel: Path, base: type) -> None:
        rule = r"^x.ckpt: `x` names 'sentinel.Good'.*sentinel.py.*--trust-code"
        with descriptions_from("x.ckpt", trust_code=False), pytest.raises(UserError, match=rule):
            resolve_class("x", {"class_path": "sentinel.Good"}, base)
        assert not sentinel.exists()
        assert "sentinel" not in sys.modules

    def test_code_that_is_not_here_is_said_to_be_missing(self) -> None:
        with descriptions_from("x.ckpt", trust_code=False), pytest.raises(UserError, match=r"'no.where' \(not found"):
            resolve_class("x", {"class_path": "no.where.Net"}, Net)

    def test_a_trusted_file_may_name_it(self, sentinel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with descriptions_from("x.ckpt", trust_code=True):
            assert build("net", {"class_path": "sentinel.Good"}, 10, base=Net)
        monkeypatch.delitem(sys.modules, "sentinel")
        assert sentinel.exists()

    @pytest.mark.parametrize(
        "class_path",
        [
            "scconv_lab.__main__.Net",
            "scconv_lab.modelsx.Net",
            "torchx.nn.ReLU",
            "scconv_lab.cli.main",
            "torch.hub.load",
        ],
    )
    def test_a_name_that_begins_alike_is_another(self, class_path: str) -> None:
        with descriptions_from("x.ckpt", trust_code=False), pytest.raises(UserError, match="--trust-code"):
            resolve_class("x", {"class_path": class_path}, Net)

    @pytest.mark.parametrize(
        "sites", [{"predicate": "os.system"}, {"any": [{"not": {"predicate": "os.x"}}]}, [["x", {"predicate": 3}]]]
    )
    def test_a_predicate_is_refused_wherever_it_stands(self, sites: object) -> None:
        with descriptions_from("x.ckpt", trust_code=False), pytest.raises(UserError, match=r"x.ckpt: .* the function"):
            require_no_code("surgery.sites", sites)
        with descriptions_from("x.ckpt", trust_code=True):
            require_no_code("surgery.sites", sites)
        require_no_code("surgery.sites", sites)
