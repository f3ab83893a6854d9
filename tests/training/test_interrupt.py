"""Ctrl-C, sent to a real fit."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from tests.runs import Run, command_environment


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_sigint_ends_with_a_checkpoint_and_a_finished_record(devices: int, workspace: Path) -> None:
    arguments = ["fit", "--config", "experiments/ablation_cru.yaml", "--config", "configs/scale/quick.yaml"]
    limits = ["--trainer.max_epochs", "1000", "--trainer.devices", str(devices), "--trainer.accelerator", "cpu"]
    with subprocess.Popen(
        ["scconv-lab", *arguments, *limits],
        cwd=workspace,
        env=command_environment(workspace),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("epoch 1/"):
                break
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        output, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "scconv-lab: interrupted\n"
    assert time.monotonic() - sent < 30
    run = Run("".join([*lines, output]), workspace)
    assert f"{run.folder.name}/checkpoints/last.ckpt" in output
    last = torch.load(run.folder / "checkpoints/last.ckpt", weights_only=True)
    best = torch.load(run.folder / "checkpoints/best.ckpt", weights_only=True)
    assert last["global_step"] >= best["global_step"]
    record = run.wandb()
    assert record["exit_code"] == 130
    assert record["summary"]["val/acc1"] > 0
