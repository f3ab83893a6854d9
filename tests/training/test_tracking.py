"""W&B without a key or a server, and the code that a run is said to be made by."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from scconv_lab.cli import main
from scconv_lab.run_folder import provenance
from scconv_lab.training.tracking import WandbLogger
from tests.runs import REPOSITORY, Command, Run


def test_online_without_a_key_goes_offline(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    arguments = ["fit", "--config", "experiments/baseline.yaml", "--config", "configs/scale/quick.yaml"]
    assert main([*arguments, "--trainer.max_epochs=1", "--trainer.logger.mode=online"]) == 0
    assert "W&B      offline; no API key is configured" in capsys.readouterr().out


def test_disabled_leaves_nothing(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    arguments = ["fit", "--config", "experiments/baseline.yaml", "--config", "configs/scale/quick.yaml"]
    assert main([*arguments, "--trainer.max_epochs=1"]) == 0
    run = Run(capsys.readouterr().out, workspace)
    assert not list(run.folder.rglob("*.wandb"))
    assert "W&B      disabled\n" in run.output
    assert "\nlook " not in run.output


@pytest.mark.slow
def test_a_server_that_does_not_answer_leaves_the_run_offline(command: Command, workspace: Path) -> None:
    arguments = ["fit", "--config", "experiments/baseline.yaml", "--config", "configs/scale/quick.yaml"]
    finished = command(
        *arguments,
        "--trainer.max_epochs=1",
        WANDB_API_KEY="0" * 40,
        WANDB_BASE_URL="http://127.0.0.1:9",
    )
    assert finished.returncode == 0, finished.stderr
    run = Run(finished.stdout, workspace)
    assert "W&B      offline; http://127.0.0.1:9 does not answer" in run.output
    assert run.wandb()["state"] == "finished"
    assert run.wandb()["summary"]["test/acc1"] > 0


def test_provenance_outside_a_checkout_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "_CHECKOUT", tmp_path)
    values = provenance.provenance.__wrapped__()
    assert values["git_commit"] is None
    assert values["lock_hash"] is None


def test_provenance_hashes_the_lock_file() -> None:
    assert provenance.provenance()["lock_hash"] == provenance._lock_hash()
    assert (REPOSITORY / "uv.lock").is_file()


class TestLostProcess:
    """W&B's own process is there, and gone at a moment at which the run asks it for something."""

    @pytest.fixture
    def logger(self, tmp_path: Path) -> Iterator[WandbLogger]:
        yield WandbLogger(mode="offline", save_dir=str(tmp_path))
        if wandb.run is not None:
            wandb.run.finish()

    def test_as_the_run_starts(self, logger: WandbLogger, monkeypatch: pytest.MonkeyPatch) -> None:
        init = wandb.init

        def start(**settings: Any) -> Any:
            if settings["mode"] != "disabled":
                raise ConnectionResetError
            return init(**settings)

        monkeypatch.setattr(wandb, "init", start)
        logger.log_metrics({"val/acc1": 0.5}, 1)
        assert logger.state == "disabled; W&B's own process is gone (ConnectionResetError)"

    def test_before_the_first_row(
        self, logger: WandbLogger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def step(run: Any) -> int:
            raise ConnectionResetError

        monkeypatch.setattr(type(logger.experiment), "step", property(step))
        for row in (1, 2):
            logger.log_metrics({"val/acc1": 0.5}, row)
        assert capsys.readouterr().out.count("its process is gone (ConnectionResetError); the run continues") == 1
