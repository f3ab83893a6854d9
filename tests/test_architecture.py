"""The law of imports: lower parts of the lab never import higher ones, and heavy libraries stay where they belong."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scconv_lab.run_folder.layout import CHECKPOINTS, RunFolder

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "scconv_lab"

# what every part of the lab may import
COMMON = {"messages"}

# what else each part imports of the others; a part stands below all that import it
LAW = {
    "errors": set(),
    "messages": {"errors"},
    "terminal": {"errors"},
    "meta": set(),
    "shipped": set(),
    "config": {"errors", "shipped"},
    "data": {"errors"},
    "ops": set(),
    "nn": {"errors", "ops"},
    "models": {"errors"},
    "surgery": {"errors", "meta", "nn"},
    "complexity": {"errors", "meta", "nn", "surgery"},
    "run_folder": {"errors", "config"},
    "verdicts": {"errors"},
    "training": {
        *("errors", "terminal", "shipped", "config", "ops", "nn", "models", "surgery", "complexity", "data"),
        "run_folder",
    },
    "export": {"errors", "terminal", "run_folder", "training"},
    "fit": {"errors", "terminal", "shipped", "config", "data", "nn", "models", "surgery", "run_folder", "training"},
    "cost": {"errors", "terminal", "config", "nn", "models", "surgery", "complexity", "training", "fit"},
    "doctor": {"errors", "terminal", "shipped", "config", "data", "run_folder", "training", "fit"},
    "grid": {"errors", "config", "shipped", "verdicts"},
    "results": {"errors", "terminal", "shipped", "run_folder", "fit", "verdicts", "grid"},
    "sweeps": {"errors", "terminal", "shipped", "config", "complexity", "run_folder", "fit", "grid", "results"},
    "init": {"errors", "terminal", "shipped"},
    "cli": {"errors"},
    "completion": {"terminal", "shipped", "fit", "cli"},
    "__main__": {"cli"},
}

# who may import a library: parts, or single files
LIBRARIES = {
    "lightning": {"data", "run_folder", "training", "fit"},
    "wandb": {"training/tracking.py", "training/wandb_client.py"},
    "triton": set(),
}

POSIX_ONLY = {"fcntl", "resource", "termios", "pwd", "grp", "tty", "pty", "syslog", "readline", "curses", "crypt"}
POSIX_CALLS = ["setsid", "killpg", "getpgid", "fork", "forkpty", "sched_getaffinity", "WNOHANG", "mkfifo"]
POSIX_SIGNALS = ["SIGUSR1", "SIGUSR2", "SIGKILL", "SIGHUP", "SIGALRM", "setitimer"]


def imports(path, package):
    """Every import of a file, wherever in it: (line, dotted name); of `from a import b` both a.b and, by it, a."""
    parents = ["scconv_lab", *path.relative_to(package).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parents[: len(parents) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def offences(package):
    """Each import that the law forbids, as "file:line: what"."""
    found = []
    for path in sorted(package.rglob("*.py")):
        file = path.relative_to(package)
        part = file.parts[0].removesuffix(".py")
        if part == "__init__":
            allowed, places = set(), {str(file)}
        elif part in LAW:
            allowed, places = LAW[part] | COMMON | {part}, {str(file), part}
        else:
            found.append(f"{file}:1: {part} has no law of imports")
            continue
        for line, name in imports(path, package):
            library, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            if library == "scconv_lab" and target in LAW and target not in allowed:
                found.append(f"{file}:{line}: {part} imports {name}")
            elif library in LIBRARIES and not places & LIBRARIES[library]:
                found.append(f"{file}:{line}: {part} imports {library}")
    return found


def test_the_lab_keeps_the_law():
    assert offences(PACKAGE) == []


def test_the_law_allows_nothing_that_nobody_imports():
    used = {part: set() for part in LAW}
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        named = {name.split(".")[1] for _, name in imports(path, PACKAGE) if name.startswith("scconv_lab.")}
        used.get(part, set()).update(named & LAW.keys() - {part} - COMMON)
    assert used == LAW


def test_no_part_imports_a_higher_one():
    """The rows are in order: a part imports only what stands above its own row."""
    rows = list(LAW)
    assert [(part, low) for part in rows for low in LAW[part] if rows.index(low) > rows.index(part)] == []


def test_every_part_of_the_law_exists():
    assert {path.stem for path in PACKAGE.iterdir() if (path / "__init__.py").exists() or path.suffix == ".py"} == {
        *LAW,
        "__init__",
    }


@pytest.mark.parametrize(
    ("file", "source", "offence"),
    [
        ("ops/x.py", "import torch\nfrom scconv_lab.nn import SRU\n", "ops/x.py:2: ops imports scconv_lab.nn.SRU"),
        ("nn/x.py", "import scconv_lab.models.resnet", "nn/x.py:1: nn imports scconv_lab.models.resnet"),
        ("models/x.py", "from scconv_lab import surgery", "models/x.py:1: models imports scconv_lab.surgery"),
        ("surgery/x.py", "from scconv_lab.models import Net", "surgery/x.py:1: surgery imports scconv_lab.models.Net"),
        (
            "surgery/deep/x.py",
            "from ...models import Net",
            "surgery/deep/x.py:1: surgery imports scconv_lab.models.Net",
        ),
        ("nn/x.py", "from .. import training", "nn/x.py:1: nn imports scconv_lab.training"),
        ("data/x.py", "def f():\n    import scconv_lab.config", "data/x.py:2: data imports scconv_lab.config"),
        ("config.py", "from scconv_lab.data import Digits", "config.py:1: config imports scconv_lab.data.Digits"),
        ("errors.py", "import scconv_lab.ops", "errors.py:1: errors imports scconv_lab.ops"),
        ("messages.py", "import scconv_lab.config", "messages.py:1: messages imports scconv_lab.config"),
        ("complexity/x.py", "import scconv_lab.training", "complexity/x.py:1: complexity imports scconv_lab.training"),
        ("training/x.py", "from scconv_lab.cli import main", "training/x.py:1: training imports scconv_lab.cli.main"),
        ("run_folder/x.py", "import scconv_lab.training", "run_folder/x.py:1: run_folder imports scconv_lab.training"),
        ("__init__.py", "from scconv_lab.nn import SRU", "__init__.py:1: __init__ imports scconv_lab.nn.SRU"),
        ("cli.py", "from lightning.pytorch import Trainer", "cli.py:1: cli imports lightning"),
        ("nn/x.py", "if True:\n    import lightning.fabric as f", "nn/x.py:2: nn imports lightning"),
        ("training/x.py", "import wandb", "training/x.py:1: training imports wandb"),
        ("training/deep/tracking.py", "import wandb", "training/deep/tracking.py:1: training imports wandb"),
        ("ops/x.py", "import triton", "ops/x.py:1: ops imports triton"),
        ("novel/x.py", "", "novel/x.py:1: novel has no law of imports"),
    ],
)
def test_an_offence_is_named_by_file_and_line(tmp_path, file, source, offence):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(source)
    assert offences(tmp_path) == [offence]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("training/tracking.py", "import wandb\nfrom wandb.sdk.lib import wbauth\nimport lightning.pytorch"),
        ("nn/x.py", "from scconv_lab import ops\nfrom scconv_lab.nn.sru import SRU\nfrom . import cru\nimport torch"),
        ("data/x.py", "from scconv_lab.messages import nearest"),
        ("training/x.py", "import scconv_lab\nfrom scconv_lab import __doc__, surgery"),
        ("doctor/x.py", "def run():\n    from scconv_lab.fit.command import run"),
        ("nn/x.py", "# import wandb\ntext = 'import triton'"),
    ],
)
def test_what_the_law_allows_passes(tmp_path, file, source):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(source)
    assert offences(tmp_path) == []


def test_one_module_knows_the_names_of_a_runs_files():
    """Sentences may name a file; code asks `RunFolder`, and the script of SLURM is given the names."""
    run = RunFolder(Path("run"))
    paths = [getattr(run, name) for name, value in vars(RunFolder).items() if isinstance(value, property)]
    names = {path.name for path in paths if isinstance(path, Path)} | set(CHECKPOINTS)
    assert len(names) > 10
    used = {
        (path.name, node.value)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in names
    }
    # the other is the folder of torch.hub
    assert {file for file, _ in used} - {"torchvision_net.py"} == {"layout.py"}
    script = (PACKAGE / "sweeps" / "task.sh").read_text()
    assert [name for name in names if "." in name and name in script] == []


def loaded(*steps):
    """The libraries that a fresh interpreter loads with each of several steps, beyond those before."""
    watched = {"torch", "torchvision", "lightning", "pytorch_lightning", "wandb", "triton", "matplotlib", "sklearn"}
    watched |= {"timm", "onnx", "onnxruntime", "onnxscript"}
    show = f"print('loaded', *({watched!r} & {{*sys.modules}}))"
    program = "\n".join(["import sys", *(line for step in steps for line in (step, show))])
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert finished.returncode == 0, finished.stderr
    lines = [line for line in finished.stdout.splitlines() if line.startswith("loaded")]
    seen = [set(line.split()[1:]) for line in lines]
    return [after - before for before, after in zip([set(), *seen], seen, strict=False)]


def test_units_and_surgery_load_torch_only_and_nets_no_trainer():
    torch, units, nets = loaded(
        "import torch",
        "import scconv_lab, scconv_lab.ops, scconv_lab.nn, scconv_lab.surgery",
        "import scconv_lab.models, scconv_lab.complexity",
    )
    assert "torch" in torch
    assert units == set()
    assert "torchvision" in nets
    assert nets.isdisjoint({"lightning", "pytorch_lightning", "wandb"})


def test_modules_of_posix_only_are_imported_in_one_place():
    """Which guards the import: all else is imported on Windows too."""
    found = {
        (str(path.relative_to(PACKAGE)), name)
        for path in PACKAGE.rglob("*.py")
        for _, name in imports(path, PACKAGE)
        if name.partition(".")[0] in POSIX_ONLY
    }
    assert found == {("run_folder/file_lock.py", "fcntl")}


@pytest.mark.slow
def test_every_module_is_imported_without_posix():
    """By a process that lacks what Windows lacks."""
    program = f"""
import importlib, multiprocessing.context, os, pkgutil, signal, sys
import lightning.pytorch.cli, rich.live, sklearn.model_selection, timm, torchinfo, torchvision, wandb
sys.modules.update(dict.fromkeys({sorted(POSIX_ONLY)}))
for module, names in {{os: {POSIX_CALLS}, signal: {POSIX_SIGNALS}}}.items():
    for name in names:
        delattr(module, name)
for start in ("fork", "forkserver"):
    del multiprocessing.context._concrete_contexts[start]
import scconv_lab
for module in pkgutil.walk_packages(scconv_lab.__path__, "scconv_lab."):
    importlib.import_module(module.name)
print("imported", len([name for name in sys.modules if name.startswith("scconv_lab.")]))
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert finished.returncode == 0, finished.stderr
    assert int(finished.stdout.split()[-1]) > 100


def test_the_command_answers_without_torch():
    answers = loaded(
        "import scconv_lab, scconv_lab.config, scconv_lab.errors, scconv_lab.messages",
        "from scconv_lab.cli import main",
        "assert main(['--help']) == 0",
        "assert main(['fti']) == 2",
    )
    assert answers == 4 * [set()]


def test_no_test_imports_a_module_of_tests():
    """What several share lies in a module of helpers; a module of tests may be moved, split or run by itself."""
    imported = re.compile(r"^\s*(?:from\s+\S*\btest_|import\s+\S*\btest_|from\s+tests\b\S*\s+import\b.*\btest_)")
    found = [
        f"{path.relative_to(TESTS)}:{number}: {line.strip()}"
        for path in sorted(TESTS.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if imported.search(line)
    ]
    assert found == []
