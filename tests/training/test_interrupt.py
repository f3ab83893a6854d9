"""Signals, sent to a real fit, and the run gone on with."""

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from scconv_lab.cli import main
from tests.runs import Run, command_environment
from tests.training.checkpoints import results_of

ARGUMENTS = ["fit", "--config", "experiments/ablation_cru.yaml", "--config", "configs/scale/quick.yaml"]


def signalled(
    workspace: Path, arguments: Sequence[str], signum: int, *, behind: str = "epoch 1/"
) -> tuple[int, str, str]:
    """Run the command and send it a signal behind a line: (exit code, output, errors)."""
    with subprocess.Popen(
        ["scconv-lab", *ARGUMENTS, "--trainer.accelerator", "cpu", *arguments],
        cwd=workspace,
        env=command_environment(workspace),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith(behind):
                break
        process.send_signal(signum)
        output, error = process.communicate(timeout=240)
    return process.returncode, "".join([*lines, output]), error


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_sigint_ends_with_a_checkpoint_and_a_finished_record(devices: int, workspace: Path) -> None:
    limits = ["--trainer.max_epochs", "1000", "--trainer.devices", str(devices)]
    code, output, error = signalled(workspace, limits, signal.SIGINT)
    assert code == 130
    assert error == "scconv-lab: interrupted\n"
    run = Run(output, workspace)
    assert f"{run.folder.name}/checkpoints/last.ckpt" in output
    last = torch.load(run.folder / "checkpoints/last.ckpt", weights_only=True)
    best = torch.load(run.folder / "checkpoints/best.ckpt", weights_only=True)
    assert last["global_step"] >= best["global_step"]
    record = run.wandb()
    assert record["exit_code"] == 130
    assert record["summary"]["val/acc1"] > 0


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize(("signum", "devices"), [(signal.SIGUSR1, 1), (signal.SIGTERM, 2)], ids=str)
def test_other_signals_have_their_own_codes(signum: signal.Signals, devices: int, workspace: Path) -> None:
    limits = ["--trainer.max_epochs", "1000", "--trainer.devices", str(devices), "--trainer.logger", "false"]
    code, output, error = signalled(workspace, limits, signum)
    assert (code, error) == (128 + signum, f"scconv-lab: ended by {signum.name}\n")
    assert torch.load(Run(output, workspace).folder / "checkpoints/last.ckpt", weights_only=True)["global_step"] >= 19


@pytest.mark.slow
def test_sigterm_before_and_behind_the_training_has_the_code_too(workspace: Path) -> None:
    limits = ["--trainer.max_epochs", "1000", "--trainer.logger", "false"]
    code, _, error = signalled(workspace, limits, signal.SIGTERM, behind="run ")
    assert (code, error) == (143, "scconv-lab: ended by SIGTERM\n")


@pytest.mark.slow
def test_a_stopped_run_goes_on_as_one_run_with_one_curve(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)

    def finish(*arguments: str) -> str:
        assert main(arguments) == 0
        output, error = capsys.readouterr()
        assert error == ""
        return output

    arguments = ["--trainer.max_epochs", "4", "--seed_everything", "15"]
    code, output, error = signalled(workspace, [*arguments, "--resume", "auto"], signal.SIGTERM, behind="epoch 2/")
    assert (code, error) == (143, "scconv-lab: ended by SIGTERM\n")
    assert "resume   no earlier run of this configuration; a new one" in output
    first = Run(output, workspace)
    resumed = [*ARGUMENTS, "--trainer.accelerator", "cpu", *arguments, "--resume", "auto"]
    output = finish(*resumed)
    second = Run(output, workspace)
    assert second.folder == first.folder
    assert "resume   step " in output
    assert main(resumed) == 0
    assert capsys.readouterr().out.startswith(f"finished {second.folder.relative_to(workspace)}  test/loss ")

    third = Run(finish(*resumed[:-2]), workspace)
    for key in ("train/loss", "val/loss", "val/acc1", "test/loss", "epoch", "trainer/global_step"):
        assert second.wandb_history(key) == third.wandb_history(key), key
    printed = [*first.console("val/acc1"), *second.console("val/acc1")]
    assert second.wandb_history("val/acc1") == pytest.approx(printed, abs=5.1e-5)
    assert len(second.wandb_records()) == 2
    assert len({record.stem for record in second.wandb_records()}) == 1
    assert second.wandb()["state"] == "finished"
    assert results_of(second.folder) == results_of(third.folder)
