"""W&B without a key or a server, and the code that a run is said to be made by."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from scconv_lab.cli import main
from scconv_lab.errors import UserError
from scconv_lab.run_folder import provenance
from scconv_lab.training import tracking
from scconv_lab.training.tracking import WandbLogger, credentials
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
    assert "W&B      disabled\n" in run.output
    assert "\nlook " not in run.output


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"project": "a/b#c?"}, r"`trainer\.logger\.project`: Invalid project name"),
        ({"project": "x" * 200}, r"`trainer\.logger\.project`: "),
        ({"id": "a/b"}, r"`trainer\.logger\.id`: Run ID cannot contain"),
        ({"tags": ["a", ""]}, r"`trainer\.logger\.tags`: Tag at index 1 is empty"),
        ({"tags": ["x" * 100]}, r"`trainer\.logger\.tags`: Tag .* is 100 characters"),
    ],
    ids=lambda value: "-".join(value)[:30] if isinstance(value, dict) else "",
)
def test_what_wandb_would_refuse_later_is_refused_at_once(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        WandbLogger(**settings)


@pytest.mark.parametrize("mode", ["Offline", "ofline", "OFF LINE", "no"])
def test_a_mode_that_is_none_is_refused(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    with pytest.raises(UserError, match=rf"WANDB_MODE \(='{mode}'\) is no mode of W&B; "):
        WandbLogger()
    WandbLogger(mode="offline")


@pytest.mark.parametrize("user", ["user:sesame@", "sesame@", ":sesame@"])
def test_an_address_with_a_password_is_refused_without_repeating_it(user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "server", lambda: f"http://{user}127.0.0.1:9")
    with pytest.raises(UserError, match=r"WANDB_BASE_URL \(http://\.\.\.@127\.0\.0\.1\)") as error:
        WandbLogger()
    assert "sesame" not in str(error.value)


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
