"""The folder that a command opens: new, resumed, living, or of the checkpoint that is evaluated."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonargparse import Namespace

from scconv_lab.cli import main
from scconv_lab.errors import BUSY, DONE, BusyError, UserError
from scconv_lab.fit.open_run import AlreadyFinished, OpenRun, close, open_evaluation, open_fit
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.run_folder.results import write_results
from tests.runs import command_environment

CONFIG = {"net": "a", "trainer": {"max_epochs": 1}}
FIT = [
    *("fit", "--config", "experiments/ablation_sru.yaml", "--config", "configs/scale/quick.yaml"),
    *("--trainer.accelerator", "cpu", "--resume", "auto"),
]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close()


def opened(root: Path, *, resume: str | None = None, run_id: str | None = None, **config: object) -> OpenRun:
    settings = Namespace(trainer=Namespace(default_root_dir=str(root)), resume=resume, run_id=run_id)
    return open_fit(settings, "name", CONFIG | config, {})


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_new_run_leaves_at_once_what_a_later_process_needs(tmp_path: Path) -> None:
    run = opened(tmp_path)
    assert (run.new, run.earlier, run.folder.begun) == (True, None, True)
    assert json.loads(run.folder.history.read_text()) == {"id": run.wandb_id}


def test_two_runs_of_one_second_have_two_folders(tmp_path: Path) -> None:
    assert opened(tmp_path).folder != opened(tmp_path).folder


def test_a_run_that_was_killed_before_its_first_checkpoint_is_taken_over(tmp_path: Path) -> None:
    first = opened(tmp_path)
    close()
    second = opened(tmp_path, resume="auto")
    assert second.earlier is not None
    assert (second.folder, second.wandb_id, second.new) == (first.folder, first.wandb_id, False)
    assert (second.earlier.checkpoint, second.earlier.step) == (None, 0)
    close()
    assert opened(tmp_path, resume="auto", net="b").folder != first.folder


@pytest.mark.parametrize("asked", ["auto", "folder", "run_id"])
def test_a_living_run_is_left_to_its_process(asked: str, tmp_path: Path) -> None:
    folder = opened(tmp_path, run_id="mine").folder if asked == "run_id" else opened(tmp_path).folder
    close()
    program = "import sys, pathlib; from scconv_lab.run_folder import lock; lock.take(pathlib.Path(sys.argv[1]))"
    living = subprocess.Popen(
        [sys.executable, "-c", f"{program}; print(flush=True); sys.stdin.read()", str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert living.stdout is not None
    living.stdout.readline()
    before = files(tmp_path)
    try:
        with pytest.raises(BusyError, match=f"is being worked on by process {living.pid}") as error:
            opened(
                tmp_path,
                run_id="mine" if asked == "run_id" else None,
                resume=str(folder.path) if asked == "folder" else "auto",
            )
    finally:
        living.communicate()
    assert error.value.exit_code == BUSY
    assert files(tmp_path) == before


def test_a_finished_run_is_no_error(tmp_path: Path) -> None:
    run = opened(tmp_path)
    write_results(run.folder.path, {"test/acc1": 0.5})
    close()
    with pytest.raises(AlreadyFinished, match=r"finished .*  test/acc1 0\.5000") as end:
        opened(tmp_path, resume="auto")
    assert end.value.exit_code == DONE


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    opened(tmp_path, run_id="mine")
    close()
    with pytest.raises(UserError, match=r"`run_id` \(='mine'\) is taken: .* --resume auto resumes it"):
        opened(tmp_path, run_id="mine")


def test_what_ends_before_it_began_leaves_nothing(tmp_path: Path) -> None:
    opened(tmp_path).abandon()
    assert files(tmp_path) == {"lock"}
    assert [path for path in tmp_path.rglob("*") if path.is_dir()] == []


def test_what_was_resumed_is_never_removed(tmp_path: Path) -> None:
    opened(tmp_path)
    close()
    before = files(tmp_path)
    opened(tmp_path, resume="auto").abandon()
    assert files(tmp_path) == before


def test_the_processes_that_the_first_starts_use_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(tmp_path)
    before = files(tmp_path)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert opened(tmp_path).folder == first.folder
    assert files(tmp_path) == before


def test_an_evaluation_goes_to_the_run_of_its_checkpoint(tmp_path: Path) -> None:
    def of(weights: str) -> RunFolder:
        settings = Namespace(trainer=Namespace(default_root_dir=str(tmp_path)), ckpt_path=weights, weights=None)
        return open_evaluation(settings, "name").folder

    run = opened(tmp_path).folder
    assert of(str(run.best)) == run
    for elsewhere in (str(tmp_path / "x.ckpt"), str(run.path / "copy" / "best.ckpt"), "hpc"):
        assert of(elsewhere).path.parent == tmp_path / "evaluations" / "name"


def test_a_mistake_after_the_folder_was_chosen_leaves_nothing(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    code = main([*FIT, "--data.val_size", "100000", "--trainer.default_root_dir", str(tmp_path)])
    assert (code, "`val_size` (=100000) must be" in capsys.readouterr().err) == (2, True)
    assert files(tmp_path) == {"lock"}


def started(workspace: Path, root: Path, *arguments: str, until: str) -> "subprocess.Popen[str]":
    """A fit that has printed a line that begins with ``until``."""
    process = subprocess.Popen(
        ["scconv-lab", *FIT, "--trainer.default_root_dir", str(root), *arguments],
        cwd=workspace,
        env=command_environment(workspace),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert any(line.startswith(until) for line in process.stdout), "the fit ended first"
    return process


@pytest.mark.slow
def test_the_same_fit_typed_twice(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    limits = ["--trainer.max_epochs", "3", "--trainer.logger", "false"]
    first = started(workspace, tmp_path, *limits, until="epoch 1/3")
    first.send_signal(signal.SIGSTOP)
    assert main([*FIT, "--trainer.default_root_dir", str(tmp_path), *limits]) == BUSY
    assert f"is being worked on by process {first.pid}" in capsys.readouterr().err
    first.send_signal(signal.SIGCONT)
    output, _ = first.communicate(timeout=120)
    assert first.returncode == 0
    assert "epoch 3/3" in output
    assert main([*FIT, "--trainer.default_root_dir", str(tmp_path), *limits]) == 0
    assert capsys.readouterr().out.startswith("finished ")


@pytest.mark.slow
def test_a_fit_that_is_killed_at_its_first_line_goes_on_as_one_run(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    limits = ["--trainer.max_epochs", "1"]
    for _ in range(2):
        killed = started(workspace, tmp_path, *limits, until="run ")
        killed.kill()
        killed.communicate(timeout=60)
    assert main([*FIT, "--trainer.default_root_dir", str(tmp_path), *limits]) == 0
    assert "resume   from the beginning: the run was ended before its first checkpoint" in capsys.readouterr().out
    (run,) = (path.parent for path in tmp_path.glob("*/*/config.yaml"))
    own = json.loads((run / "history.jsonl").read_text().splitlines()[0])["id"]
    assert {record.stem.rpartition("-")[2] for record in run.glob("wandb/offline-run-*")} == {own}
