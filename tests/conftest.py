"""What tests share: an environment without accounts, and the command run as a user runs it."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

from tests.runs import Command, Run, command_environment, new_workspace

pytest.register_assert_rewrite("tests.training.checkpoints")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the slow tests in full, which takes hours")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two share all tests; where some are named, none: two start slower than one, and hide a debugger."""
    return 2 if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("full")])
        items[:] = [item for item in items if not item.get_closest_marker("full")]


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether a test runs in full, or in the reduced form of `.ci/run`."""
    return request.config.getoption("--full")


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like a fresh clone from inside, and takes the runs."""
    return new_workspace(tmp_path_factory.mktemp("runs") / "workspace")


@pytest.fixture(scope="session")
def command(workspace: Path) -> Command:
    """Run `scconv-lab` as a process of its own."""

    def run(*arguments: str, timeout: float = 240, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["scconv-lab", *arguments],
            cwd=workspace,
            env=command_environment(workspace) | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


@pytest.fixture(scope="session")
def quick_run(command: Command, workspace: Path) -> Run:
    """README's first fit, run once for all tests that look at what it leaves."""
    arguments = ["fit", "--config", "experiments/ablation_sru.yaml", "--config", "configs/scale/quick.yaml"]
    finished = command(*arguments)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    return Run(finished.stdout, workspace)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tensors of these sizes gain nothing from more threads, and lose tenfold where cores are shared."""
    torch.set_num_threads(1)
