"""A sweep on SLURM: what is asked for, what a task does whatever becomes of its run, and both on a real cluster."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from scconv_lab.errors import UserError
from scconv_lab.grid.expand import expand
from scconv_lab.grid.file import read_sweep
from scconv_lab.run_folder.attempts import attempts, failures, was_killed
from scconv_lab.run_folder.state import state_of
from scconv_lab.sweeps import ledger, slurm
from scconv_lab.sweeps.resolve import Run, resolve
from tests.runs import REPOSITORY, command_environment
from tests.sweeps.cluster import Cluster, cluster, wait_for, why_not
from tests.training.checkpoints import results_of
from tests.training.processes import left_over

WHEN = datetime(2026, 1, 2, 3, 4, 5)
SWEEP = """\
name: small
experiment: ../experiments/baseline.yaml
grid: {arm: {plain: {}, two: {}, long: {}, crash: {net: {class_path: tests.sweeps.faulty.Crashing}}}}
seeds: [0]
rules:
  - {when: {arm: two}, keys: {optimizer.lr: 0.05}}
  - {when: {arm: [two, crash]}, resources: {gpus: 2}}
  - {when: {arm: long}, resources: {minutes: 600}, keys: {optimizer.lr: 0.02}}
"""
CPU = {"trainer.accelerator": "cpu"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a workspace")
    for name in ("configs", "experiments"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "sweeps").mkdir()
    (folder / "sweeps/small.yaml").write_text(SWEEP)
    return folder


def resolved(workspace: Path, overrides: dict[str, Any]) -> dict[str, Run]:
    """The sweep's runs by the name of their arm."""
    sweep = read_sweep(workspace / "sweeps/small.yaml")
    arms = expand(sweep, configs=[REPOSITORY / "configs/scale/quick.yaml"], overrides=overrides)
    return {run.arm.name: run for run in resolve([(arm, seed) for arm in arms for seed in sweep.seeds])}


@pytest.fixture(scope="module")
def resolved_once(workspace: Path) -> dict[str, Run]:
    return resolved(workspace, CPU)


@pytest.fixture
def runs(resolved_once: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Run]:
    """Runs that nothing has become of, in the folder where this test works."""
    monkeypatch.chdir(tmp_path)
    return resolved_once


def with_trainer(run: Run, **trainer: Any) -> Run:
    return replace(run, config={**run.config, "trainer": {**run.config["trainer"], **trainer}})


def directives(job: slurm.ArrayJob) -> dict[str, str]:
    """The options of a script, as sbatch reads them."""
    lines = re.findall(r"^#SBATCH (--.*)$", job.text, re.MULTILINE)
    words = [shlex.split(line, comments=True) for line in lines]
    assert all(len(word) == 1 for word in words)
    return {key.removeprefix("--"): value for key, _, value in (word.partition("=") for (word,) in words)}


# options


def test_options_of_file_and_command_line() -> None:
    given = slurm.options({"partition": "a", "nodes": 1, "time": "1:00:00", "exclusive": True}, ["partition=b"])
    assert given == slurm.Options({"partition": "b", "nodes": "1", "exclusive": True}, time="1:00:00")
    assert slurm.options({"exclusive": True}, ["exclusive=false", "time=5"]) == slurm.Options({"time": "5"})


@pytest.mark.parametrize(
    ("of_file", "given", "message"),
    [
        ({}, ["account"], r"--slurm account must be KEY=VALUE, such as account=x"),
        ({}, ["account="], r"--slurm account= must be KEY=VALUE"),
        ({"array": "0-3"}, [], r"`slurm.array` \(='0-3'\) is the launcher's own; leave it out"),
        ({}, ["outp=x"], r"`--slurm outp` \(='x'\) is the launcher's own"),
        ({}, ["gpus-per-task=1"], r"`resources.gpus`"),
        ({}, ["-p=x"], r"`--slurm -p` must be a long option of sbatch"),
        ({"mail_type": "END"}, [], r"`slurm.mail_type` must be a long option of sbatch, such as account or mail-type"),
        ({"time": 43200}, [], r"`slurm.time` \(=43200\) must be quoted, such as '12:00:00', which YAML takes"),
        ({"exclude": ["n1"]}, [], r"`slurm.exclude` \(=\['n1'\]\) must be a text of one line, a number, or true"),
        ({"comment": "a\n#SBATCH --array=0-9"}, [], r"`slurm.comment` .* must be a text of one line"),
    ],
)
def test_options_that_are_refused(of_file: dict[str, Any], given: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        slurm.options(of_file, given)


# scripts


def test_a_script_for_each_count_of_gpus_and_time(runs: dict[str, Run]) -> None:
    on_gpus = [with_trainer(run, accelerator="gpu") for run in runs.values()]
    options = slurm.options({"partition": "main", "comment": "ours: 5 % #1", "time": "30"}, ["exclusive=true"])
    first, second, third = slurm.scripts(on_gpus, "small", options, WHEN)
    assert [[run.arm.name for run in job.runs] for job in (first, second, third)] == [
        ["plain"],
        ["two", "crash"],
        ["long"],
    ]
    assert first.script == Path("runs/sweeps/slurm/small-20260102-030405-1.sh")
    assert directives(first) == {
        "job-name": "small",
        "array": "0-0",
        "chdir": str(Path.cwd()),
        "output": f"{Path.cwd()}/runs/sweeps/slurm/small-20260102-030405-1.%A_%a.txt",
        "open-mode": "append",
        "requeue": "",
        "signal": "B:USR1@120",
        "nodes": "1",
        "ntasks-per-node": "1",
        "gres": "gpu:1",
        "time": "30",
        "partition": "main",
        "comment": "ours: 5 % #1",
        "exclusive": "",
    }
    assert directives(second).items() >= {"array": "0-1", "ntasks-per-node": "2", "gres": "gpu:2", "time": "30"}.items()
    assert directives(third).items() >= {"gres": "gpu:1", "time": "600"}.items()
    assert {
        directives(job)["time"] for job in slurm.scripts(on_gpus, "small", slurm.options({}, ["time=9"]), WHEN)
    } == {"9"}


def test_runs_on_the_cpu_ask_for_no_gpus(runs: dict[str, Run]) -> None:
    for job in slurm.scripts(runs.values(), "small", slurm.options({}), WHEN):
        assert "gres" not in directives(job)
    (job,) = slurm.scripts([runs["plain"]], "small", slurm.options({"gres": "fpga:1"}), WHEN)
    assert directives(job)["gres"] == "fpga:1"


def test_nodes_are_those_of_the_trainer(runs: dict[str, Run]) -> None:
    run = with_trainer(runs["two"], num_nodes=3)
    for options in (slurm.options({}), slurm.options({"nodes": 3})):
        (job,) = slurm.scripts([run], "small", options, WHEN)
        assert directives(job).items() >= {"nodes": "3", "ntasks-per-node": "2"}.items()
    with pytest.raises(UserError, match=r"arm 'two': `trainer.num_nodes` \(=3\) must be the `nodes` \(=2\) of SLURM"):
        slurm.scripts([run], "small", slurm.options({}, ["nodes=2"]), WHEN)


@pytest.mark.parametrize("devices", [-1, "auto", [0, 1]])
def test_a_run_says_how_many_processes_it_has(runs: dict[str, Run], devices: Any) -> None:
    run = with_trainer(runs["plain"], devices=devices)
    with pytest.raises(UserError, match=r"arm 'plain': `trainer.devices` .* must be a number under SLURM"):
        slurm.scripts([run], "small", slurm.options({}), WHEN)


# submission


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stand-ins for programs, before all others."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def stand_in(programs: Path, name: str, script: str) -> None:
    (programs / name).write_text(f"#!/usr/bin/env bash\n{script}\n")
    (programs / name).chmod(0o755)


def test_submission_writes_what_a_task_reads(runs: dict[str, Run], programs: Path) -> None:
    stand_in(programs, "sbatch", '[ -s "$2" ] && echo "$2" >> sbatch.log && echo "$(wc -l < sbatch.log);cluster"')
    jobs = slurm.scripts([runs["plain"], runs["long"]], "small", slurm.options({}), WHEN)
    assert slurm.submit(jobs) == ["1", "2"]
    assert Path("sbatch.log").read_text().splitlines() == [str(job.script) for job in jobs]
    for job, name in zip(jobs, ("plain", "long"), strict=True):
        run = runs[name]
        assert job.script.read_text() == job.text
        folder, by_hand = job.list_file.read_text().rstrip("\n").split("\t")
        assert (folder, shlex.split(by_hand)) == (str(run.folder), run.by_hand)
        assert ledger.run_file(run).is_file()


def test_without_sbatch(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"needs `sbatch`, which is not on this machine; .* --dry-run"):
        slurm.submit(slurm.scripts(runs.values(), "small", slurm.options({}), WHEN))
    assert not Path("runs").exists()


def test_what_sbatch_refuses_is_told_in_its_words(runs: dict[str, Run], programs: Path) -> None:
    stand_in(
        programs,
        "sbatch",
        'case $2 in *-1.sh) echo 77;; *) echo "sbatch: error: invalid partition specified: x" >&2;'
        ' echo "sbatch: error: Batch job submission failed" >&2; exit 1;; esac',
    )
    with pytest.raises(UserError) as refusal:
        slurm.submit(slurm.scripts(runs.values(), "small", slurm.options({}), WHEN))
    assert str(refusal.value) == (
        "sbatch does not take runs/sweeps/slurm/small-20260102-030405-2.sh: invalid partition specified: x; "
        "Batch job submission failed; queued before it: 77 (`scancel` takes them back)"
    )


def test_what_is_queued(runs: dict[str, Run], programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = runs["plain"].root
    stand_in(programs, "squeue", "echo squeue: error: no controller >&2; exit 1")
    assert slurm.queued(root, "small") == {}
    assert capsys.readouterr().err == ""  # nothing was submitted from here
    stand_in(programs, "sbatch", "echo 7")
    (job,) = slurm.scripts([runs["two"], runs["crash"]], "small", slurm.options({}), WHEN)
    slurm.submit([job])
    script = job.script.absolute()
    lines = [
        f"7|0|PENDING|Priority|{script}",
        f"7|1|RUNNING|None|{script}",
        "8|0|RUNNING|None|/elsewhere/small-1.sh",
        "9|N/A|RUNNING|None|(null)",
    ]
    stand_in(programs, "squeue", f'[[ "$*" == *--name=small* ]] && cat <<< {shlex.quote(chr(10).join(lines))}')
    assert slurm.queued(root, "small") == {
        runs["two"].id: "pending (Priority), job 7_0",
        runs["crash"].id: "running, job 7_1",
    }
    assert slurm.queued(root, "other") == {}
    stand_in(programs, "squeue", "echo squeue: error: no controller >&2; exit 1")
    assert slurm.queued(root, "small") == {}
    assert capsys.readouterr().err == "squeue   squeue: error: no controller\n"


# what a task does, with srun and scontrol played


@pytest.fixture
def task(runs: dict[str, Run], programs: Path) -> Iterator["Task"]:
    stand_in(programs, "sbatch", "echo 7")
    stand_in(programs, "scontrol", 'echo "$*" >> scontrol.log')
    stand_in(programs, "sleep", "exec /bin/sleep 0.05")
    (job,) = slurm.scripts([runs["plain"]], "small", slurm.options({}), WHEN)
    slurm.submit([job])
    return Task(job, programs)


class Task:
    """The one task of a script, run by hand."""

    def __init__(self, job: slurm.ArrayJob, programs: Path) -> None:
        self.job, self.programs, self.folder = job, programs, job.runs[0].folder

    def run(self, *fits: str, restarts: int = 0) -> int:
        """Run the script; each call of srun does what the next of ``fits`` says."""
        for number, fit in enumerate(fits, 1):
            Path(f"fit-{number}.sh").write_text(fit)
        stand_in(self.programs, "srun", 'echo "$*" >> srun.log; TASK=$PPID bash "fit-$(wc -l < srun.log).sh" "$@"')
        ids = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0", "SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1"}
        environment = os.environ | ids | {"SLURM_RESTART_COUNT": str(restarts)}
        return subprocess.run(["bash", self.job.script], env=environment, timeout=60, capture_output=True).returncode

    @property
    def fits(self) -> int:
        return len(Path("srun.log").read_text().splitlines()) if Path("srun.log").exists() else 0

    @property
    def codes(self) -> list[int]:
        return [attempt["code"] for attempt in attempts(self.job.runs[0].files)]

    @property
    def requeued(self) -> bool:
        return Path("scontrol.log").exists() and "requeue 7_0\n" in Path("scontrol.log").read_text()


DONE = """echo '{}' > "$(dirname "${@: -1}")/results.json" """
SLEEPING = "for ((i = 0; i < 200; i++)); do sleep 1; done"


def test_a_task_runs_what_a_person_would(task: Task) -> None:
    assert task.run(f"echo trained; {DONE}") == 0
    (words,) = Path("srun.log").read_text().splitlines()
    assert words.startswith("--kill-on-bad-exit=1 ")
    assert words.endswith(f"scconv-lab fit --config {task.folder}/run.yaml")
    by_hand = shlex.join(task.job.runs[0].by_hand)
    assert (task.folder / "log.txt").read_text() == (
        f"\n$ scconv-lab fit --config {task.folder}/run.yaml\n# by hand: scconv-lab {by_hand}\ntrained\n"
    )
    (attempt,) = attempts(task.job.runs[0].files)
    assert attempt == {"code": 0, "seconds": attempt["seconds"], "launcher": "slurm", "job": "7_0"}
    assert not task.requeued
    assert task.run("exit 1") == 0
    assert task.fits == 1


@pytest.mark.parametrize(
    "srun",
    [
        pytest.param("exit 3", id="alone"),
        # what SLURM 22.05 says of two tasks of which one fails, and what it passes on
        pytest.param(
            "echo 'srun: error: n1: task 0: Exited with exit code 3';"
            "echo 'srun: launch/slurm: _step_signal: Terminating StepId=2.0';"
            "echo 'slurmstepd-n1: error: *** STEP 2.0 ON n1 CANCELLED AT 2026-01-02T03:04:05 ***';"
            "echo 'srun: error: n1: task 1: Exited with exit code 143'; exit 143",
            id="with another that srun ends",
        ),
    ],
)
def test_what_fails_is_tried_once_more(task: Task, srun: str) -> None:
    assert task.run(srun, srun, DONE) == 1
    assert (task.codes, task.requeued) == ([3, 3], False)
    assert state_of(task.job.runs[0].files) == "failed"
    assert task.run(DONE) == 1
    assert task.fits == 2


def test_failures_count_as_the_ledger_counts(task: Task) -> None:
    run = task.job.runs[0]
    for attempt in ({"code": 1}, {"code": 1}, {"forgiven": True}, {"code": 143}, {"code": -9, "launcher": "local"}):
        ledger.note(run, **attempt)
    assert failures(run.files) == 1
    assert task.run("exit 2", DONE) == 1
    assert (task.codes, state_of(run.files)) == ([143, -9, 2], "failed")
    ledger.forgive(run)
    assert task.run("exit 2", "exit 2", DONE) == 0
    assert task.fits == 3


@pytest.mark.parametrize(
    ("srun", "code"),
    [
        ("exit 143", 143),
        ("exit 4", 4),
        # a signal of SLURM's own, of which a data loader's worker dies, and by it the run
        (
            "echo 'slurmstepd-n1: error: *** STEP 9.0 ON n1 CANCELLED AT 2026-01-02T03:04:05 DUE TO PREEMPTION ***';"
            "echo 'srun: error: n1: task 0: Exited with exit code 1'; exit 1",
            143,
        ),
    ],
)
def test_what_was_ended_goes_on_in_a_new_job(task: Task, srun: str, code: int) -> None:
    assert task.run(srun) == 0
    assert (task.codes, task.requeued, task.fits) == ([code], True, 1)
    assert failures(task.job.runs[0].files) == 0


def test_a_kill_is_told_from_a_failure(task: Task) -> None:
    killed = "echo 'srun: error: n1: tasks 0-1: Killed'; exit 137"
    assert task.run(killed, killed) == 1
    assert task.codes == [-9, -9]
    assert was_killed(task.job.runs[0].files)


def test_restarts_have_an_end(task: Task) -> None:
    assert task.run("exit 143", restarts=slurm.MOST_RESTARTS - 1) == 0
    assert task.requeued
    Path("scontrol.log").unlink()
    assert task.run("", "exit 143", restarts=slurm.MOST_RESTARTS) == 1
    assert not task.requeued


def test_exit_code_0_alone_is_not_done(task: Task) -> None:
    assert task.run("exit 0") == 1
    assert not task.requeued


def test_a_warning_ends_the_run_before_its_job(task: Task) -> None:
    stand_in(
        task.programs,
        "scontrol",
        'echo "$*" >> scontrol.log; [ "$1" != listpids ] || cat <<< "PID JOBID STEPID LOCALID GLOBALID\n'
        '$(cat fit.pid) 7 0 0 0\n1 7 0 - -\n1 7 batch 0 0"',
    )
    assert task.run(f"trap 'exit 143' TERM; echo $$ > fit.pid; kill -USR1 $TASK; {SLEEPING}") == 0
    assert (task.codes, task.requeued) == ([143], True)


def test_a_run_that_does_not_end_is_left_behind(task: Task) -> None:
    assert task.run(f"kill -USR1 $TASK; {SLEEPING}") == 0
    assert (task.codes, task.requeued) == ([], True)


# a real cluster


@pytest.fixture(scope="module")
def real() -> Iterator[Cluster]:
    if reason := why_not():
        pytest.skip(reason)
    with cluster() as here:
        yield here


class Launched:
    """Runs that were submitted to a cluster."""

    def __init__(self, real: Cluster, runs: Sequence[Run], *given: str) -> None:
        self.real = real
        self.jobs = slurm.scripts(runs, "small", slurm.options({"gres": "gpu:1"}, given), WHEN)
        self.ids: dict[str, str] = {}
        for job, number in zip(self.jobs, slurm.submit(self.jobs), strict=True):
            self.ids |= {run.arm.name: f"{number}_{task}" for task, run in enumerate(job.runs)}

    def queued(self, run: Run) -> str:
        return slurm.queued(run.root, "small").get(run.id, "")

    def over(self) -> bool:
        return self.real.jobs().keys().isdisjoint(self.ids.values())


@pytest.fixture
def there(real: Cluster, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A workspace, with what a login node would have; nothing may be left running in it."""
    monkeypatch.chdir(workspace)
    environment = command_environment(workspace) | {"SLURM_CONF": str(real.conf), "PYTHONPATH": str(REPOSITORY)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield workspace
    monkeypatch.chdir("/")
    wait_for(lambda: not left_over(workspace), "the end of all processes", seconds=120)


def log(run: Run) -> str:
    file = run.files.log
    return file.read_text() if file.exists() else ""


def noted(run: Run) -> list[Any]:
    return [attempt["code"] for attempt in attempts(run.files)]


@pytest.mark.slow
def test_an_array_with_two_processes_a_failure_and_an_end_by_hand(real: Cluster, there: Path) -> None:
    runs = resolved(there, CPU | {"trainer.max_epochs": 1})
    launched = Launched(real, list(runs.values()))
    assert [len(job.runs) for job in launched.jobs] == [1, 2, 1]
    long = launched.ids["long"]
    wait_for(lambda: real.jobs()[long][0] == "RUNNING", "its start")
    assert launched.queued(runs["long"]) == f"running, job {long}"
    real("scancel", long)
    wait_for(launched.over, "the end of the array")

    assert {name: state_of(run.files) for name, run in runs.items() if name != "long"} == {
        "plain": "done",
        "two": "done",
        "crash": "failed",
    }
    assert state_of(runs["long"].files) in ("new", "interrupted")
    assert failures(runs["long"].files) == 0
    assert {name: noted(runs[name]) for name in ("plain", "two", "crash")} == {
        "plain": [0],
        "two": [0],
        "crash": [1, 1],
    }
    crash = log(runs["crash"])
    assert crash.count("\n[rank0]: RuntimeError: this net crashes\n") == 2, "srun killed it before it said why"
    assert len(re.findall("^srun: error: n[12]: task 0: Exited with exit code 1$", crash, re.MULTILINE)) == 2
    assert log(runs["two"]).count("\nepoch 1/1 ") == 1
    assert ledger.results(runs["two"])["steps"] == ledger.results(runs["plain"])["steps"]


@pytest.mark.slow
def test_a_run_that_loses_its_place_and_then_its_node_ends_as_if_it_had_not(real: Cluster, there: Path) -> None:
    run = resolved(there, CPU | {"trainer.max_epochs": 15, "data.init_args.num_workers": 1})["plain"]
    launched = Launched(real, [run])
    (job,) = launched.ids.values()

    wait_for(lambda: "\nepoch 3/15" in log(run), "epoch 3")
    real("sbatch", "--partition=hi", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=true")
    wait_for(lambda: launched.queued(run) == f"pending (BeginTime), job {job}", "another job to take its place")
    assert noted(run) == [143]
    stopped = re.search(r"^stopped at step (\d+), epoch \d+: ", log(run), re.MULTILINE)
    assert stopped is not None

    real.release(job)
    wait_for(lambda: f"\nresume   step {stopped[1]}, from last.ckpt\n" in log(run), "it to go on")
    epochs = log(run).count("\nepoch ")
    wait_for(lambda: log(run).count("\nepoch ") >= epochs + 2, "two epochs more")
    node = real.jobs()[job][1]
    real.lose(node)
    real.release(job)
    straight = ["scconv-lab", "fit", "--config", str(ledger.run_file(run)), "--trainer.default_root_dir", "straight"]
    with subprocess.Popen(straight, stdout=subprocess.DEVNULL):
        wait_for(lambda: job in real.jobs() and real.jobs()[job][1] not in ("", node), "another node")
        wait_for(launched.over, "its end")

    assert state_of(run.files) == "done"
    assert noted(run) in ([143, 143, 0], [143, 0])  # a node may be gone before its task can note anything
    resumed = re.findall(r"^resume   (?:step|from|no earlier)", log(run), re.MULTILINE)
    assert log(run).count("\n$ scconv-lab fit ") == len(resumed) == 3
    assert results_of(there / "straight" / run.id) == results_of(run.folder)
