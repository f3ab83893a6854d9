"""W&B without a key or a server, and the code that a run is said to be made by."""

from pathlib import Path

import pytest

from scconv_lab.cli import main
from scconv_lab.run_folder import provenance
from scconv_lab.training.tracking import credentials
from tests.runs import REPOSITORY, Command, Run


def test_without_a_key_there_are_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not credentials()
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert credentials()
    monkeypatch.setenv("WANDB_API_KEY", "too short")
    assert not credentials()


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
    values = provenance.provenance()
    assert values["git_commit"] is None
    assert values["lock_hash"] is None


def test_provenance_hashes_the_lock_file() -> None:
    assert provenance.provenance()["lock_hash"] == provenance._lock_hash()
    assert (REPOSITORY / "uv.lock").is_file()
