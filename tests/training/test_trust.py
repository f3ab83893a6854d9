"""A file of somebody else runs no code, whatever its description of a net names."""

import copy
import random
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from scconv_lab.cli import main
from scconv_lab.errors import UserError
from scconv_lab.export import load_safetensors
from scconv_lab.training import Classifier
from scconv_lab.training.spec import factory
from scconv_lab.training.trust import require_trusted
from tests.runs import Run
from tests.training.descriptions import HONEST, changed, write_checkpoint, write_safetensors

SENTINEL = "sentinel_module"
SOURCE = """
import pathlib

from torch import nn, optim

from scconv_lab.models import CifarResNet

RAN = pathlib.Path(__file__).with_name("ran")
RAN.touch()


class Unit(nn.Identity):
    def __init__(self, channels, **arguments):
        super().__init__()
        RAN.write_text("built")


class Net(CifarResNet):
    pass


class SGD(optim.SGD):
    pass


class Schedule(optim.lr_scheduler.ConstantLR):
    pass


def call(*values, **arguments):
    RAN.write_text("called")
    return True
"""


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of nobody's that can be imported; the file is there as soon as any of its code ran."""
    (tmp_path / f"{SENTINEL}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "ran"
    sys.modules.pop(SENTINEL, None)


def spec(class_path: Any, **init_args: Any) -> dict[str, Any]:
    return {"class_path": class_path, "init_args": init_args}


def export(path: Path) -> None:
    """By the command: its message, as an exception as the others raise."""
    output = path.with_name("out.safetensors")
    assert main(["export", "--ckpt", str(path), "--format", "safetensors", "--output", str(output)]) == 0


def load_checkpoint(path: Path) -> None:
    Classifier.load_from_checkpoint(path, weights_only=True, map_location="cpu")


Door = tuple[str, Callable[[Path, Any], Path], Callable[[Path], Any]]
DOORS: dict[str, Door] = {
    "load_from_checkpoint": ("x.ckpt", write_checkpoint, load_checkpoint),
    "load_safetensors": ("x.safetensors", write_safetensors, load_safetensors),
}
SPECS = ("net", "surgery.unit", "optimizer", "lr_scheduler")
OWN = {"net": "Net", "surgery.unit": "Unit", "optimizer": "SGD", "lr_scheduler": "Schedule"}

HOOKS = [
    *((key, spec(f"{SENTINEL}.{name}")) for key, name in OWN.items()),  # each is of the kind that belongs there
    *((key, spec(f"{SENTINEL}.call")) for key in SPECS),
    *((key, spec("os.system", command="x")) for key in SPECS),
    *((f"{key}.init_args.inner", spec(f"{SENTINEL}.Unit")) for key in SPECS),
    ("net.init_args.depth", {"deeper": [spec(f"{SENTINEL}.Unit")]}),
    ("surgery.sites", {"predicate": f"{SENTINEL}.call"}),
    ("surgery.sites", {"predicate": "os.system"}),
    ("surgery.sites", {"predicate": "scconv_lab.cli.main"}),
    ("surgery.sites", [{"any": [{"not": {"predicate": f"{SENTINEL}:call"}}]}, "paper"]),
    ("surgery.sites.any.0", {"all": ["*", {"predicate": f"{SENTINEL}.call"}]}),
]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("key", "value"), HOOKS, ids=str)
def test_what_a_file_names_is_not_imported(door: str, key: str, value: Any, ran: Path, tmp_path: Path) -> None:
    name, write, read = DOORS[door]
    path = write(tmp_path / name, changed(key, value))
    where = rf"{re.escape(name)}: `{re.escape(key)}.*` names '.*' \(of .*\)"
    message = rf"{where}, .* run its code; .* --trust-code .*trust_code=True"
    with pytest.raises(UserError, match=message):
        read(path)
    assert SENTINEL not in sys.modules
    assert not ran.exists()


@pytest.mark.parametrize(
    ("key", "class_path"),
    [
        ("net", "scconv_lab.models.net.nn.Module"),
        ("net", "scconv_lab.models.net.Net.__init__"),
        ("net", "scconv_lab.models.torchvision_net.torch.hub.load"),
        ("net", "scconv_lab.models.torchvision_net.Path"),
        ("net", "scconv_lab.models.pretrained.read_weights"),
        ("surgery.unit", "scconv_lab.nn.unit.nn"),
        ("surgery.unit", "scconv_lab.nn.sru.torch.load"),
        ("surgery.unit", "torch.nn.importlib.import_module"),
        ("surgery.unit", "torch.nn.functional.relu"),
        ("surgery.unit", "torch.nn.Parameter"),
        ("surgery.unit", "torch.nn.nowhere.Unit"),
        ("surgery.unit", "timm.layers.create_attn"),
        ("optimizer", "torch.optim.lr_scheduler.LambdaLR"),
        ("optimizer", "torch.optim.swa_utils.AveragedModel"),
        ("lr_scheduler", "torch.optim.lr_scheduler.EPOCH_DEPRECATION_WARNING"),
    ],
)
def test_a_path_through_what_is_trusted_leads_nowhere_else(key: str, class_path: str) -> None:
    """The last part is a class of the kind that belongs there, and what is before it a module."""
    require_trusted(changed(key, spec(class_path)), source="file")
    with pytest.raises(UserError, match=re.escape(f"`{key}` names {class_path!r}, which ")):
        factory(key, spec(class_path))


@pytest.mark.parametrize(
    ("key", "class_path"),
    [
        ("net", "scconv_lab.models"),
        ("net", "scconv_lab.nn.SRU"),
        ("net", "scconv_lab.modelsx.Net"),
        ("net", "scconv_lab.training.spec.importlib.os.system"),
        ("net", "torch.hub.load"),
        ("net", "torchvision.models.get_model"),
        ("net", "torchvision.models.ResNet"),
        ("surgery.unit", "torch.package.PackageImporter"),
        ("surgery.unit", "torch.jit.ScriptModule"),
        ("surgery.unit", "torch.fx.GraphModule"),
        ("surgery.unit", "torch.distributed.nn.RemoteModule"),
        ("surgery.unit", "torch.nnx.Module"),
        ("surgery.unit", "Unit"),
        ("surgery.unit", ""),
        ("surgery.unit", ".nn.SRU"),
        ("surgery.unit", "antigravity.fly"),
        ("optimizer", "torch.distributed.optim.DistributedOptimizer"),
        ("lr_scheduler", "torch.optim.SGD"),
    ],
)
def test_no_other_module_is_trusted(key: str, class_path: str) -> None:
    with pytest.raises(UserError, match=f"file: `{key}.class_path` names "):
        require_trusted(changed(key, spec(class_path)), source="file")


@pytest.mark.parametrize("value", [torch.Tensor, torch.float32, len, b"bytes", {1, 2}, torch.ones(2)], ids=str)
@pytest.mark.parametrize("key", ["surgery.sites", "surgery.sites.any.0", "net.init_args.depth", "net.class_path"])
def test_a_description_holds_plain_values(key: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"file: `{key}` holds a "):
        require_trusted(changed(key, value), source="file")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "description",
    [
        None,
        [],
        "text",
        {},
        HONEST | {"_instantiator": "lightning.pytorch.cli.instantiate_module"},
        HONEST | {"net": None},
        HONEST | {"net": "scconv_lab.models.CifarResNet"},
        HONEST | {"num_classes": "ten"},
        HONEST | {"surgery": {"unit": {"class_path": "scconv_lab.nn.SRU"}, "net": 3}},
        HONEST | {"surgery": 3},
        changed("net.init_args", [1, 2]),
        changed("net.init_args", {"depth": None}),
        changed("net.class_path", None),
        changed("net.class_path", ["os.system"]),
    ],
    ids=str,
)
def test_what_describes_no_net_gets_one_message(door: str, description: Any, tmp_path: Path) -> None:
    name, write, read = DOORS[door]
    path = write(tmp_path / name, description)
    with pytest.raises(UserError) as error:
        read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("door", DOORS)
def test_an_honest_file_is_read(door: str, tmp_path: Path) -> None:
    name, write, read = DOORS[door]
    read(write(tmp_path / name, HONEST))


def test_pickles_are_not_read(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "x.ckpt", HONEST)
    with pytest.raises(UserError, match=r"`weights_only`.* must be true"):
        Classifier.load_from_checkpoint(path, weights_only=False)


def test_code_that_is_trusted_is_run(ran: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the flag of the command and by the argument in Python; it has to be of its kind all the same."""
    description = changed("surgery.unit", spec(f"{SENTINEL}.Unit"))
    description = changed("surgery.sites", {"predicate": f"{SENTINEL}.call", "stage": 2}, description)
    classifier = Classifier(**description)
    assert ran.read_text() == "built"
    path = tmp_path / "own.ckpt"
    torch.save({"hyper_parameters": description, "state_dict": classifier.state_dict()}, path)
    output = tmp_path / "own.safetensors"
    command = ["export", "--ckpt", str(path), "--format", "safetensors", "--output", str(output)]
    assert main(command) == 2
    assert f"{SENTINEL}.Unit' (of {tmp_path / SENTINEL}.py)" in capsys.readouterr().err
    assert not output.exists()
    assert main([*command, "--trust-code"]) == 0
    assert type(load_safetensors(output, trust_code=True)) is type(classifier.net)
    loaded = Classifier.load_from_checkpoint(path, trust_code=True)
    assert repr(loaded.net) == repr(classifier.net)
    evil = write_checkpoint(tmp_path / "evil.ckpt", changed("surgery.unit", spec(f"{SENTINEL}.call")))
    with pytest.raises(UserError, match=r"must be a subclass of torch\.nn\."):
        Classifier.load_from_checkpoint(evil, trust_code=True)


def test_arguments_of_the_caller_are_trusted(ran: Path, tmp_path: Path) -> None:
    """They stand for the file's, which are not looked at."""
    path = write_checkpoint(tmp_path / "x.ckpt", changed("optimizer", spec("os.system", command="x")))
    loaded = Classifier.load_from_checkpoint(path, optimizer=spec(f"{SENTINEL}.SGD", lr=0.1))
    assert not ran.exists()
    assert type(loaded.configure_optimizers()["optimizer"]).__name__ == "SGD"
    assert ran.exists()


def nodes(value: Any, key: str = "") -> Iterator[str]:
    """The dotted key of every part of a description."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        inner = f"{key}.{name}" if key else str(name)
        yield inner
        yield from nodes(item, inner)


def mutated(draw: random.Random) -> dict[str, Any]:
    """The honest description with one to three parts that lead to the sentinel in some way."""
    description = copy.deepcopy(HONEST)
    names = [*OWN.values(), "call", "RAN.write_text", "pathlib.Path", ""]
    for _ in range(draw.randint(1, 3)):
        path = f"{draw.choice(['', '', 'scconv_lab.', 'torch.nn.', 'torch.'])}{SENTINEL}.{draw.choice(names)}"
        value: Any = draw.choice(
            [path, spec(path), [spec(path)], {"predicate": path}, [{"predicate": path}], {"class_path": path}]
        )
        description = changed(draw.choice([*nodes(description)]), value, description)
    return description


def test_no_mutation_reaches_the_sentinel(ran: Path, tmp_path: Path) -> None:
    """A hundred at a fixed seed: each is refused by one message, or names the sentinel where nothing looks."""
    draw = random.Random(0)
    state = Classifier(**HONEST).state_dict()
    refused = 0
    for _ in range(100):
        torch.save({"hyper_parameters": mutated(draw), "state_dict": state}, tmp_path / "x.ckpt")
        try:
            load_checkpoint(tmp_path / "x.ckpt")
        except UserError:
            refused += 1
        assert not ran.exists()
        assert SENTINEL not in sys.modules
    assert refused > 90


@pytest.fixture
def run(workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """The folder of a run that a signal ended after its first epoch, as it were."""
    monkeypatch.chdir(workspace)
    assert main(["fit", *FIT]) == 0
    folder = Run(capsys.readouterr().out, workspace).folder
    (folder / "results.json").unlink()
    return folder


FIT = [
    *("--config", "experiments/ablation_sru.yaml", "--config", "configs/scale/quick.yaml", "--trainer.max_epochs=1"),
    *("--trainer.logger=false", "--trainer.accelerator=cpu", "--final_test=false"),
]


def test_the_other_commands_build_what_the_configuration_names(
    run: Path, ran: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint is held to it, whichever way it is given."""
    last, best = run / "checkpoints/last.ckpt", run / "checkpoints/best.ckpt"
    honest = torch.load(last, weights_only=True)
    for key, value in [("net", spec(f"{SENTINEL}.Net")), ("surgery.sites", {"predicate": f"{SENTINEL}.call"})]:
        description = changed(key, value, honest["hyper_parameters"])
        for path in (last, best):
            torch.save(honest | {"hyper_parameters": description}, path)
            path.with_name(f"{path.name}.sha256").unlink(missing_ok=True)
        for command in ("fit", "validate", "test", "predict"):
            assert main([command, *FIT, "--ckpt_path", str(best)]) == 2
            assert "was made with another configuration" in capsys.readouterr().err
        for resume in ("auto", str(run)):
            assert main(["fit", *FIT, "--resume", resume]) == 2
            assert f"last.ckpt was made with another configuration: {key}" in capsys.readouterr().err
        assert main(["test", *FIT, "--weights", str(best)]) == 0  # tensors, by their names
    assert SENTINEL not in sys.modules
    assert not ran.exists()


def test_an_own_class_that_the_configuration_names_is_built(
    run: Path, ran: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By every command that is given the configuration, a run's own resume among them."""
    own = [*FIT, "--net.class_path", f"{SENTINEL}.Net"]
    assert main(["fit", *own]) == 0
    folder = Run(capsys.readouterr().out, Path.cwd()).folder
    assert ran.exists()
    (folder / "results.json").unlink()
    assert main(["fit", *own, "--resume", "auto"]) == 0
    best = str(folder / "checkpoints/best.ckpt")
    assert main(["test", "--config", str(folder / "config.yaml"), "--ckpt_path", best]) == 0
    assert main(["export", "--ckpt", best, "--format", "safetensors"]) == 2
    assert "--trust-code" in capsys.readouterr().err
    assert main(["export", "--ckpt", best, "--format", "safetensors", "--trust-code"]) == 0
