"""Jobs of SLURM in which no srun starts the processes, and a limit on the size of files."""

import shlex
import subprocess
from pathlib import Path

import pytest

from scconv_lab.cli import main
from scconv_lab.errors import UserError
from scconv_lab.training.process_group import in_a_job_without_srun, require_one_node
from tests.runs import Run, command_environment

FIT = ["fit", "--config", "experiments/baseline.yaml", "--config", "configs/scale/quick.yaml"]
SHORT = ["--trainer.max_epochs", "1", "--trainer.logger", "false", "--trainer.accelerator", "cpu"]


@pytest.mark.parametrize(
    ("variables", "without"),
    [
        ({}, False),
        ({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "2"}, True),
        ({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "2", "SLURM_STEP_ID": "0"}, False),
    ],
    ids=str,
)
def test_a_job_without_srun_is_known(variables: dict, without: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_STEP_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert in_a_job_without_srun() is without


def test_several_nodes_need_srun() -> None:
    require_one_node(1)
    with pytest.raises(UserError, match=r"`trainer.num_nodes` \(=2\) .*: put `srun` before the command"):
        require_one_node(2)


@pytest.mark.parametrize("tasks", [{"SLURM_NTASKS": "2"}, {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}], ids=len)
def test_a_fit_in_a_jobs_own_shell_is_one_of_this_machine(
    tasks: dict, workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    for name, value in {"SLURM_JOB_ID": "1", "SLURM_PROCID": "0", **tasks}.items():
        monkeypatch.setenv(name, value)
    assert main([*FIT, *SHORT]) == 0
    assert Run(capsys.readouterr().out, workspace).console("test/acc1")


@pytest.mark.slow
def test_a_limit_on_the_size_of_files_is_one_message(workspace: Path, tmp_path: Path) -> None:
    command = shlex.join(["scconv-lab", *FIT, *SHORT, "--trainer.default_root_dir", str(tmp_path)])
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 300; exec {command}"],
        cwd=workspace,
        env=command_environment(workspace),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "cannot be written (File too large): make room" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
