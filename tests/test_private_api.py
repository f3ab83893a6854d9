"""Every private or undocumented name of a library that the lab uses: an upgrade that changes one fails here.

`USES` is the list; `test_every_private_name_is_listed` finds what is missing from it. `.ci/newest` runs this file with
the newest release of each library.
"""

import ast
import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NoReturn
from unittest import mock

import pytest
import torch
import torchinfo
import torchvision
import wandb
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, WeightAveraging
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.seed import isolate_rng
from torch import nn
from torchmetrics import MeanMetric
from wandb.analytics.opentelemetry import opentelemetry_proxy

import scconv_lab

PACKAGE = Path(scconv_lab.__file__).parent
UNDOCUMENTED = ("wandb.sdk.",)
"""Modules whose names have no underscore and that their library documents nowhere."""


@dataclass(frozen=True)
class Use:
    """A private or undocumented name that the lab uses.

    Attributes:
        library: Its distribution.
        name: As the lab's source spells it, or in words where it has no name.
        files: Where in scconv_lab/ it is used.
        breaks: What goes wrong in the lab without it.
        holds: Whether it is there and means what the lab takes it for; may raise.
    """

    library: str
    name: str
    files: str
    breaks: str
    holds: Callable[[], bool]

    def __str__(self) -> str:
        return f"{self.library}: {self.name}"


def is_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def has(owner: Any, *names: str) -> bool:
    return all(hasattr(owner, name) for name in names)


def takes(function: Callable[..., Any], *names: str) -> bool:
    return {*names} <= inspect.signature(function).parameters.keys()


def calls(function: Any, name: str) -> bool:
    return name in function.__code__.co_names


class Watch(Callback):
    """Notes what the loops of a fit hold."""

    def __init__(self, interrupt: bool = False):
        self.interrupt = interrupt
        self.within: dict[str, Any] = {}
        self.seen: list[tuple[int, int, bool]] = []

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        loop = trainer.fit_loop
        self.seen.append((loop.total_batch_idx, loop.batch_idx, trainer.is_last_batch))
        self.within = loop.epoch_progress.current.state_dict()
        self.every = trainer.val_check_batch
        if self.interrupt:
            raise KeyboardInterrupt


def fit(watch: Watch) -> Trainer:
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=2,
        limit_train_batches=2,
        limit_val_batches=1,
        logger=False,
        callbacks=[watch],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(BoringModel())
    return trainer


@cache
def fitted() -> tuple[Trainer, Watch]:
    watch = Watch()
    return fit(watch), watch


def interrupted() -> BaseException:
    with mock.patch("signal.signal"), pytest.raises(SystemExit) as stop:
        fit(Watch(interrupt=True))
    assert stop.value.__context__ is not None
    return stop.value.__context__


def seed_in_environment() -> str:
    with mock.patch.dict(os.environ), isolate_rng():
        seed_everything(17, verbose=False)
        return os.environ["PL_GLOBAL_SEED"]


def relaunched() -> list[str]:
    launcher = importlib.import_module("lightning.fabric.strategies.launchers.subprocess_script")
    with mock.patch.object(sys, "argv", ["scconv-lab", "fit", "--seed_everything=1"]):
        return [*launcher._basic_subprocess_cmd()]


def wandb_arguments() -> set[str]:
    with mock.patch.dict(os.environ, WANDB_MODE="disabled"):
        logger = WandbLogger(save_dir="nowhere")
    assert logger._experiment is None
    return {*logger._wandb_init}


def settings_of_a_sweep() -> str | None:
    settings = wandb.Settings(sweep_id="abc")
    settings.sweep_id = None
    return settings.sweep_id


def restored_update_count() -> int:
    metric = MeanMetric()
    metric._update_count = 3
    return metric.update_count if metric.update_called else 0


def hooked() -> list[int]:
    module = nn.Identity()
    module.register_forward_hook(lambda *_: None)
    module.register_full_backward_hook(lambda *_: None)
    module.register_full_backward_pre_hook(lambda *_: None)
    return [len(module._forward_hooks), len(module._backward_hooks), len(module._backward_pre_hooks)]


def compiled() -> nn.Module:
    module = nn.Identity()
    assert module._compiled_call_impl is None
    module.compile()
    return module


def viewed() -> bool:
    whole = torch.empty(2, 3, device="meta")
    return whole._base is None and whole.T._base is whole and whole.T.flatten(0).device.type == "meta"


def counted() -> torchinfo.ModelStatistics:
    return torchinfo.summary(nn.Sequential(nn.Conv2d(3, 4, 1)), input_data=torch.zeros(1, 3, 2, 2), verbose=0)


class Base:
    pass


class Leaf(Base):
    def __init__(self, width: int = 1, kind: Literal["a", "b"] = "a"):
        self.width, self.kind = width, kind


class RefusedError(ValueError):
    pass


class Parser(LightningArgumentParser):
    """Hands on what jsonargparse says."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise RefusedError(message)


def new_parser() -> Parser:
    """One key of each kind that the lab has."""
    parser = Parser()
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--kind", type=Literal["a", "b"], default="a")
    parser.add_argument("--copy", type=int | None, default=None)
    parser.add_subclass_arguments(Base, "part", instantiate=False, required=False)
    parser.link_arguments("count", "copy")
    return parser


def refusal(*arguments: str, part: Any = None) -> str:
    """What jsonargparse says of arguments, or of a configuration file that holds ``part``."""
    parser = new_parser()
    with pytest.raises(RefusedError) as refused:
        parser.parse_object({"part": part}) if part is not None else parser.parse_args(arguments)
    return str(refused.value)


def said(pattern: str, *arguments: str, part: Any = None) -> bool:
    message = refusal(*arguments, part=part)
    assert re.search(pattern, message, re.M), f"it says {message!r}"
    return True


LEAF, LAEF = f"{__name__}.Leaf", f"{__name__}.Laef"
UNCLEAR = "a message of the parser is long, or names no key"

USES = [
    # torch and torchvision
    Use(
        "torch",
        "torch._dynamo.exc.TorchDynamoException",
        "complexity/measure.py",
        "a net that torch.compile cannot compile ends `cost --measure`",
        lambda: issubclass(torch._dynamo.exc.TorchDynamoException, RuntimeError),
    ),
    Use(
        "torch",
        "torch._dynamo",
        "sweeps/worker.py",
        "a sweep's runs import it one by one",
        lambda: is_module("torch._dynamo"),
    ),
    Use(
        "torch",
        "_is_mkldnn_bf16_supported",
        "complexity/measure.py",
        "`cost --measure` does not know whether a CPU computes in bf16",
        lambda: torch.ops.mkldnn._is_mkldnn_bf16_supported() in (False, True),
    ),
    Use(
        "torch",
        "torch.utils._python_dispatch.TorchDispatchMode",
        "complexity/work.py, surgery/blocks.py",
        "no point-wise work is counted, and blocks are known by their widths only",
        lambda: has(torch.utils._python_dispatch.TorchDispatchMode, "__torch_dispatch__", "__enter__"),
    ),
    Use(
        "torch",
        "torch.utils._pytree.tree_leaves",
        "complexity/work.py, surgery/blocks.py",
        "no point-wise work is counted, and blocks are known by their widths only",
        lambda: torch.utils._pytree.tree_leaves(([1, {"a": 2}], (3,))) == [1, 2, 3],
    ),
    Use(
        "torch",
        "_apply",
        "nn/sru_controls.py",
        "half precision rounds the permutation of ShuffledGammaSRU",
        lambda: nn.Linear(1, 1)._apply(lambda values: values.double()).weight.dtype == torch.float64,
    ),
    Use(
        "torch",
        "_compiled_call_impl",
        "surgery/edit.py",
        "surgery on a compiled net is not refused, and changes nothing that runs",
        lambda: compiled()._compiled_call_impl is not None,
    ),
    Use(
        "torch",
        "_modules",
        "surgery/norms.py",
        "`insert_before_norm` finds no norm",
        lambda: [*nn.Sequential(nn.ReLU())._modules] == ["0"],
    ),
    *(
        Use(
            "torch",
            name,
            "meta.py",
            "the look at a net before its training runs the hooks of users",
            lambda: hooked() == [1, 1, 1],
        )
        for name in ("_forward_hooks", "_backward_hooks", "_backward_pre_hooks")
    ),
    Use(
        "torch",
        "_base",
        "surgery/preflight.py",
        "the look at a net before its training misses a norm that takes a view of a unit's output",
        viewed,
    ),
    Use(
        "torchvision",
        "_make_layer",
        "models/resnet.py",
        "a ResNet has torchvision's widths, whatever its own",
        lambda: (
            calls(torchvision.models.ResNet.__init__, "_make_layer")
            and takes(torchvision.models.ResNet._make_layer, "block", "planes")
            and has(torchvision.models.resnet18(), "inplanes")
        ),
    ),
    Use(
        "numpy",
        "numpy._core.multiarray",
        "data/cifar.py",
        "CIFAR's files cannot be read once NumPy writes another name",
        lambda: callable(importlib.import_module("numpy._core.multiarray")._reconstruct),
    ),
    # torchmetrics and torchinfo
    Use(
        "torchmetrics",
        "_update_count",
        "training/exact_resume.py",
        "a run that is resumed within an epoch logs other metrics",
        lambda: restored_update_count() == 3,
    ),
    Use(
        "torchinfo",
        "LayerInfo's attributes",
        "complexity/counters.py, cost/layers.py",
        "the second counter of MACs, and `cost --layers`",
        lambda: has(
            counted().summary_list[-1],
            *("is_leaf_layer", "macs", "module", "output_size", "num_params", "depth", "var_name", "class_name"),
        ),
    ),
    Use(
        "torchinfo",
        "the unit of its total",
        "cost/layers.py",
        "`cost --layers` prints the name of an enumeration",
        lambda: re.search(r"mult-adds \((Units\.)?[A-Z]+\):", str(counted())) is not None,
    ),
    # lightning
    Use(
        "lightning",
        "_parser",
        "fit/lab_cli.py, fit/dry.py",
        "no command reads its arguments",
        lambda: takes(LightningCLI._parser, "self", "subcommand"),
    ),
    Use(
        "lightning",
        "_parse_ckpt_path",
        "fit/lab_cli.py",
        "the arguments in a checkpoint win over those of the configuration, in silence",
        lambda: calls(LightningCLI.__init__, "_parse_ckpt_path"),
    ),
    Use(
        "lightning",
        "_prepare_subcommand_kwargs",
        "fit/lab_cli.py",
        "a checkpoint is read without weights_only",
        lambda: (
            calls(LightningCLI._run_subcommand, "_prepare_subcommand_kwargs")
            and takes(LightningCLI._prepare_subcommand_kwargs, "self", "subcommand")
        ),
    ),
    Use(
        "lightning",
        "trainer_defaults, read when the trainer is built",
        "fit/lab_cli.py",
        "the lab's callbacks are in no run",
        lambda: calls(LightningCLI._instantiate_trainer, "trainer_defaults"),
    ),
    Use(
        "lightning",
        "SystemExit in the context of KeyboardInterrupt",
        "fit/command.py",
        "Ctrl-C ends with another exit code",
        lambda: isinstance(interrupted(), KeyboardInterrupt),
    ),
    Use(
        "lightning",
        "strategy.launcher.procs",
        "training/process_group.py",
        "the processes of a run do not end together",
        lambda: Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False).strategy.launcher.procs == [],
    ),
    Use(
        "lightning",
        "fit_loop.epoch_progress.current",
        "training/exact_resume.py",
        "a run that is resumed within an epoch logs other metrics",
        lambda: (
            fitted()[1].within["started"] == 2
            and fitted()[1].within["processed"] == 1
            and fitted()[0].fit_loop.epoch_progress.current.processed == 2
        ),
    ),
    Use(
        "lightning",
        "fit_loop.total_batch_idx, fit_loop.batch_idx, is_last_batch, val_check_batch",
        "training/checkpoint.py, training/guard.py",
        "checkpoints are written where a fit cannot be resumed exactly",
        lambda: (
            fitted()[1].seen == [(0, 0, False), (1, 1, True), (2, 0, False), (3, 1, True)] and fitted()[1].every == 2
        ),
    ),
    Use(
        "lightning",
        "PL_GLOBAL_SEED",
        "data/base.py",
        "the order of training samples has seed 0, whatever the run's",
        lambda: seed_in_environment() == "17",
    ),
    Use(
        "lightning",
        "current_model_state",
        "training/classifier.py",
        "the live weights beside an average are read as if they were none",
        lambda: "current_model_state" in WeightAveraging.on_save_checkpoint.__code__.co_consts,
    ),
    Use(
        "lightning",
        "sys.argv, from which the other processes of a run are started",
        "sweeps/worker.py",
        "a sweep's run on several devices starts the sweep again",
        lambda: relaunched()[-2:] == ["fit", "--seed_everything=1"],
    ),
    Use(
        "lightning",
        "_experiment",
        "training/tracking.py",
        "the W&B run is started twice, or never",
        lambda: calls(WandbLogger.experiment.fget.__wrapped__, "_experiment"),
    ),
    Use(
        "lightning",
        "_wandb_init",
        "training/tracking.py",
        "a run without an account does not continue offline",
        lambda: wandb_arguments() >= {"anonymous", "dir", "id"},
    ),
    # W&B
    Use(
        "wandb",
        "wandb.sdk.lib.wbauth",
        "training/wandb_client.py",
        "whether there is an account is asked of a server, or of the terminal",
        lambda: takes(wandb.sdk.lib.wbauth.authenticate_session, "host", "source", "prompt", "update_session"),
    ),
    Use(
        "wandb",
        "wandb.analytics.opentelemetry.opentelemetry_proxy.disable",
        "training/wandb_client.py",
        "a fit waits for ever where W&B's own process cannot start",
        lambda: takes(opentelemetry_proxy.disable),
    ),
    Use(
        "wandb",
        "wandb.sdk.lib.runid.generate_id",
        "training/tracking.py",
        "a W&B run has no id",
        lambda: re.fullmatch(r"\w{8}", wandb.sdk.lib.runid.generate_id()) is not None,
    ),
    *(
        Use(
            "wandb",
            f"wandb.sdk.mailbox.{name}",
            "training/tracking.py",
            "a run ends when W&B's own process is killed",
            lambda name=name: issubclass(getattr(importlib.import_module("wandb.sdk.mailbox"), name), Exception),
        )
        for name in ("HandleAbandonedError", "MailboxClosedError")
    ),
    Use(
        "wandb",
        "wandb.sdk.launch",
        "sweeps/worker.py",
        "a sweep's runs import it one by one",
        lambda: is_module("wandb.sdk.launch"),
    ),
    Use(
        "wandb",
        "_log_type",
        "training/tracking.py",
        "a table waits a minute for a server that is lost",
        lambda: isinstance(wandb.Table._log_type, str),
    ),
    Use(
        "wandb",
        "_finish_timed_out",
        "training/tracking.py",
        "nobody is told that the last uploads did not arrive",
        lambda: "_finish_timed_out" in inspect.getsource(importlib.import_module("wandb.sdk.wandb_run").Run),
    ),
    Use(
        "wandb",
        "settings.sweep_id, run_id and base_url",
        "training/tracking.py",
        "a sweep's run that the server refuses does not continue offline",
        lambda: settings_of_a_sweep() is None and has(wandb.Settings(), "run_id", "base_url"),
    ),
    # jsonargparse
    Use(
        "jsonargparse",
        "_actions",
        "fit/parser.py",
        "no key is known",
        lambda: {"count", "part"} <= keys_of(new_parser()),
    ),
    Use(
        "jsonargparse",
        "unrecognized arguments: --KEY",
        "fit/parser.py",
        UNCLEAR,
        lambda: said(r"unrecognized arguments: --cuont", "--cuont", "1"),
    ),
    Use(
        "jsonargparse",
        "SOURCE --> TARGET, of a key that is linked",
        "fit/parser.py",
        UNCLEAR,
        lambda: said(r"--> copy\b", "--copy", "3"),
    ),
    Use(
        "jsonargparse",
        'Parser key "KEY":',
        "fit/parser.py",
        UNCLEAR,
        lambda: said(r'^Parser key "count":\n', "--count", "x"),
    ),
    Use(
        "jsonargparse",
        "Expected a <class 'TYPE'>",
        "fit/refusals.py",
        UNCLEAR,
        lambda: said(r"Expected a <class 'int'>. Got value: x$", "--count", "x"),
    ),
    Use(
        "jsonargparse",
        "Expected a typing.Literal[...]",
        "fit/refusals.py",
        UNCLEAR,
        lambda: said(r"Expected a typing.Literal\['a', 'b'\]", "--kind", "c"),
    ),
    Use(
        "jsonargparse",
        "Option 'NAME' is not accepted",
        "fit/parser.py",
        UNCLEAR,
        lambda: said(r"Option 'widht' is not accepted", part={"class_path": LEAF, "init_args": {"widht": 1}}),
    ),
    Use(
        "jsonargparse",
        "given class_path 'CLASS'",
        "fit/parser.py",
        UNCLEAR,
        lambda: said(rf"given class_path '{re.escape(LAEF)}'", part={"class_path": LAEF}),
    ),
    Use(
        "jsonargparse",
        "Import path CLASS does not correspond to a subclass",
        "fit/parser.py",
        UNCLEAR,
        lambda: said(r"Import path builtins.int does not", part={"class_path": "builtins.int"}),
    ),
    Use(
        "jsonargparse",
        "Given value: CLASS",
        "fit/parser.py",
        UNCLEAR,
        lambda: said(r"Given value: Laef$", "--part", "Laef"),
    ),
    Use(
        "jsonargparse",
        "NestedArg(key='KEY', val=VALUE)",
        "fit/refusals.py",
        UNCLEAR,
        lambda: said(r"NestedArg\(key='kind', val='z'\)$", "--part", LEAF, "--part.kind", "z"),
    ),
    *(
        Use(
            "jsonargparse",
            f"{noise} ...",
            "fit/refusals.py",
            UNCLEAR,
            lambda noise=noise: said(rf"^[ -]*{re.escape(noise)}", "--part", "Laef"),
        )
        for noise in (
            *("Does not validate against", "Subtypes:", "Errors:", "Given value type:", "Expected a path but"),
            "Expected a <class 'NoneType'>",
        )
    ),
    Use(
        "jsonargparse",
        "Given value: {",
        "fit/refusals.py",
        UNCLEAR,
        lambda: said(r"^\s*Given value: \{", part={"class_path": LAEF}),
    ),
]


def keys_of(parser: LightningArgumentParser) -> set[str]:
    return {action.dest for action in parser._actions}


@pytest.mark.parametrize("use", USES, ids=str)
def test_the_library_is_as_the_lab_uses_it(use: Use) -> None:
    why = ""
    try:
        holds = use.holds()
    except Exception as error:
        holds, why = False, f" ({type(error).__name__}: {error})"
    assert holds, (
        f"{use.library} {version(use.library)} has changed {use.name}{why}; without it: {use.breaks}; "
        f"used by {use.files} in scconv_lab"
    )


def test_every_private_name_is_listed() -> None:
    """A new one needs a row in `USES`, or better a public way; a row that nothing needs any more goes."""
    listed = {(file, use.name) for use in USES if is_private(use.name) for file in use.files.split(", ")}
    found = private_names(PACKAGE) | overridden_names()
    assert sorted(found - listed) == [], "these private names of a library are in no row of USES"
    assert sorted(listed - found) == [], "these rows of USES are of names that are not used any more"


def is_private(name: str) -> bool:
    """Whether a dotted name has a private part; ``__file__`` and its like are Python's own."""
    dotted = re.fullmatch(r"\w*(\.\w+)*", name) is not None
    private = any(re.match(r"_(?!_)", part) for part in name.split("."))
    return dotted and (private or name.startswith(UNDOCUMENTED))


def private_names(package: Path) -> set[tuple[str, str]]:
    """Every (file, name) by which a package uses what is private to another library.

    Such are attributes of anything but ``self`` and ``cls``, those of ``self`` and ``cls`` that the package defines
    nowhere, imports, and texts that are a name.
    """
    trees = {str(path.relative_to(package)): ast.parse(path.read_text()) for path in package.rglob("*.py")}
    own = {name for tree in trees.values() for name in defined(tree)}
    found = {(file, name) for file, tree in trees.items() for name in used(tree, own)}
    return {(file, name) for file, name in found if is_private(name)}


def defined(tree: ast.AST) -> Iterator[str]:
    """The names that the classes of a file give to their methods and attributes."""
    for cls in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        yield from (node.name for node in cls.body if isinstance(node, ast.FunctionDef))
        for node in ast.walk(cls):
            if isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for part in (part for target in targets for part in ast.walk(target)):
                    if isinstance(part, ast.Attribute | ast.Name) and isinstance(part.ctx, ast.Store):
                        yield part.attr if isinstance(part, ast.Attribute) else part.id


def used(tree: ast.AST, own: set[str]) -> Iterator[str]:
    """The names of other libraries that a file uses, private ones among them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            of_self = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not (of_self and node.attr in own):
                yield node.attr
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names if not node.level)
        elif isinstance(node, ast.Constant) and "." in str(node.value):
            yield str(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("attr"):
            yield from (str(name.value) for name in node.args[1:2] if isinstance(name, ast.Constant))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x._y", {"_y"}),
        ("x.y._z = 1", {"_z"}),
        ("super()._y()", {"_y"}),
        ("def f(self): self._y", {"_y"}),
        ("class A:\n    def f(self): self._y\n    def _y(self): pass", set()),
        ("class A:\n    def f(self): self._y = 1", set()),
        ("class A:\n    def f(self, other): return self._y == other._y\n    _y = 1", {"_y"}),
        ("from a._b import c", {"a._b.c"}),
        ("from a.b import _c as d", {"a.b._c"}),
        ("import a._b", {"a._b"}),
        ("from ._b import c", set()),
        ("import wandb.sdk.lib", {"wandb.sdk.lib"}),
        ("getattr(x, '_y', None)", {"_y"}),
        ("setattr(x, '_y', 1)", {"_y"}),
        ("names = ['a._b', 'see a._b here', 'wandb.sdk.c']", {"a._b", "wandb.sdk.c"}),
        ("x.__dict__, x.y, x.__class__.__name__, __file__", set()),
    ],
)
def test_a_private_use_is_found(tmp_path: Path, source: str, names: set[str]) -> None:
    (tmp_path / "x.py").write_text(source)
    assert private_names(tmp_path) == {("x.py", name) for name in names}


def overridden_names() -> set[tuple[str, str]]:
    """Every (file, name) that a class of the lab has in place of a private one of another library's class.

    Nothing in their source tells them from the lab's own.
    """
    found = set()
    for module in pkgutil.walk_packages(scconv_lab.__path__, "scconv_lab."):
        if module.name.endswith("__main__"):
            continue
        for cls in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(cls) and cls.__module__ == module.name:
                file = Path(inspect.getfile(cls)).relative_to(PACKAGE).as_posix()
                names = filter(is_private, vars(cls).keys() - {"_abc_impl"})
                found |= {(file, name) for name in names if any(name in vars(base) for base in foreign(cls))}
    return found


def foreign(cls: type) -> list[type]:
    return [base for base in cls.__mro__ if not base.__module__.startswith("scconv_lab")]
