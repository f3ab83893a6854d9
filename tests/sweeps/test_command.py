"""`scconv-lab sweep`: what it refuses before anything is launched, and what it tells without launching."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from scconv_lab.cli import main
from scconv_lab.sweeps import worker

GRID = {"arm": {"plain": {}, "S": {"config": "../configs/unit/sru.yaml"}}}
WHOLE = {"name": "small", "experiment": "../experiments/baseline.yaml", "grid": GRID, "seeds": [0, 1]}
QUICK = ["--config", "configs/scale/quick.yaml"]


@pytest.fixture
def sweep(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run a sweep's file that differs from a good one, in a folder without runs; nothing can be launched."""
    here = tmp_path / "here"
    (here / "sweeps").mkdir(parents=True)
    for name in ("configs", "experiments"):
        (here / name).symlink_to((workspace / name).resolve())
    monkeypatch.chdir(here)

    def launched(*_: object, **__: object) -> None:
        raise AssertionError("something was launched")

    monkeypatch.setattr(worker, "start", launched)
    monkeypatch.setattr(worker, "warm_up", lambda: None)

    def sweep(*arguments: str, without: str = "", **changed: object) -> int:
        content = {key: value for key, value in (WHOLE | changed).items() if key != without}
        (here / "sweeps/small.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        return main(["sweep", "sweeps/small.yaml", *QUICK, *arguments])

    return sweep


def arm(**keys: object) -> dict[str, object]:
    return {"arm": {"plain": {}, "odd": keys}}


@pytest.mark.parametrize(
    ("changed", "arguments", "expected"),
    [
        ({"grids": {}}, [], ["sweeps/small.yaml", "'grids'", "'grid'"]),
        ({"seeds": "0, 1"}, [], ["sweeps/small.yaml", "`seeds` (='0, 1')", "list"]),
        ({"grid": {}}, [], ["sweeps/small.yaml", "`grid` is empty"]),
        ({"grid": {"surgery.unit.alpha": []}}, [], ["sweeps/small.yaml", "`grid.surgery.unit.alpha` is empty"]),
        ({"without": "seeds"}, [], ["sweeps/small.yaml", "`seeds` is missing", "seeds: [0, 1, 2]"]),
        ({"exclude": [{"arm": "S"}, {"arm": "plan"}]}, [], ["sweeps/small.yaml", "'plan'", "'plain'"]),
        ({"grid": arm(), "exclude": []}, [], ["'plain'", "'odd'", "are the same run (seed 0)", "remove one"]),
        ({"grid": arm(**{"net.dept": 8})}, [], ["arm 'odd'", "'dept'", "'depth'"]),
        ({"grid": arm(**{"net.depth": "deep"})}, [], ["arm 'odd'", "`net`", "deep"]),
        ({"grid": arm(**{"surgery.unit": "SRU", "surgery.unit.num_groups": 3})}, [], ["arm 'odd'", "(=16)", "(=3)"]),
        ({"grid": arm(config="../configs/unit/sur.yaml")}, [], ["arm 'odd'", "configs/unit/sur.yaml", "sru.yaml"]),
        ({"grid": arm(**{"optimizer.lr": -1})}, [], ["arm 'odd'", "`optimizer`", "-1"]),
        ({"grid": arm(seed_everything=3)}, [], ["`grid.arm.odd.seed_everything`", "`seeds`"]),
        ({"grid": arm(run_id="x", **{"net.depth": 14})}, [], ["arm 'odd'", "`run_id` (='x')", "leave it out"]),
        ({"early_stop": {"reference": "plane", "after": 3}}, [], ["`early_stop.reference` (='plane')", "'plain'"]),
        ({}, ["--only", "arm=T*"], ["--only arm=T*", "plain, S"]),
        ({}, ["--set", "trainer.max_epoch=3"], ["arm 'plain'", "'trainer.max_epoch'", "'trainer.max_epochs'"]),
        ({}, ["--set", "seed_everything=3"], ["--set seed_everything=3", "`seeds`"]),
        ({}, ["--set", "trainer.max_epochs"], ["--set trainer.max_epochs must be KEY=VALUE"]),
        ({}, ["--workers", "0"], ["--workers 0 must be at least 1"]),
        ({}, ["--dry-run"], ["--dry-run is for --launcher slurm"]),
        ({}, ["--probe"], ["--probe is for --plan"]),
        ({}, ["--plan", "--status"], ["--plan and --status"]),
        ({}, ["--luncher", "slurm"], ["sweep has no option '--luncher'; did you mean '--launcher'?"]),
        ({}, ["--set", "trainer.accelerator=gpu"], ["arm 'plain' needs 1 GPU", "this machine has 0", "cpu.yaml"]),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_mistake_gets_one_message_and_launches_nothing(
    sweep: Callable[..., int],
    changed: dict[str, object],
    arguments: list[str],
    expected: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scconv_lab.sweeps.sweep.find_gpus", lambda asked: [])
    assert sweep(*arguments, **changed) == 2
    error = capsys.readouterr().err
    assert error.startswith("scconv-lab: error: ")
    assert error.count("\n") == 1
    assert not [part for part in expected if part not in error], error
    assert not Path("runs").exists()


def test_a_file_that_is_not_there_is_named_with_the_nearest(
    sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "experiments/sweeps/tabel1.yaml"]) == 2
    error = capsys.readouterr().err
    assert "sweep names experiments/sweeps/tabel1.yaml, which is not there; did you mean" in error
    assert "experiments/sweeps/table1.yaml" in error


def test_a_plan_has_every_run_and_the_time_of_a_probe(
    sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("--plan", "--probe", "--only", "seed=0", "--set", "trainer.accelerator=cpu") == 0
    output = capsys.readouterr().out
    for name, params in (("plain", "78,042"), ("S", "78,266")):
        assert re.search(rf"^{name} +0 +\w{{12}} +new +{params} +781,952 +\d+ s *$", output, re.MULTILINE)
    assert re.search(r"^to do    0\.\d\d device-hours, by probe$", output, re.MULTILINE)
    assert not Path("runs").exists()


def test_status_has_every_run(sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("--status") == 0
    output = capsys.readouterr().out
    assert len(re.findall(r"^(?:plain|S) +[01] +\w{12} +new +$", output, re.MULTILINE)) == 4
    assert output.endswith("4 new; folders are runs/sweeps/RUN\n")


def test_slurms_scripts_are_printed_and_nothing_is_written(
    sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("--launcher", "slurm", "--dry-run", "--slurm", "partition=debug", slurm={"account": "lab"}) == 0
    output = capsys.readouterr().out
    for line in ("#SBATCH --array=0-3", "#SBATCH --partition=debug", "#SBATCH --account=lab"):
        assert line in output.splitlines()
    assert not Path("runs").exists()


def test_a_sweep_keeps_which_runs_it_has(
    sweep: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scconv_lab.sweeps.slurm.submit", lambda jobs: ["7"] * len(jobs))
    assert sweep("--launcher", "slurm", "--only", "seed=0") == 0
    kept = json.loads(Path("runs/sweeps/small.json").read_text())
    assert kept["sweep"] == "small"
    (launch,) = kept["launches"]
    assert [(run["arm"], run["seed"]) for run in launch["runs"]] == [("plain", 0), ("plain", 1), ("S", 0), ("S", 1)]
    assert all(re.fullmatch(r"\w{12}", run["run"]) for run in launch["runs"])


def test_the_head_of_a_script_is_printed_and_all_of_it_if_asked(
    sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("--launcher", "slurm", "--dry-run") == 0
    head = capsys.readouterr().out
    assert sweep("--launcher", "slurm", "--dry-run", "--verbose") == 0
    whole = capsys.readouterr().out
    assert len(head.splitlines()) < 30 < len(whole.splitlines())
    assert "requeue()" in whole
    assert "requeue()" not in head


def test_a_folder_with_a_line_break_is_refused_for_slurm(
    sweep: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("scconv_lab.sweeps.slurm.Path.cwd", classmethod(lambda cls: cls("a\nb")))
    assert sweep("--launcher", "slurm", "--dry-run") == 2
    assert "the working folder (='a\\nb') holds a line break" in capsys.readouterr().err


def test_slurm_is_asked_for_nothing_where_all_is_done(
    sweep: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scconv_lab.sweeps.sweep.state_of", lambda files: "done")
    assert sweep("--launcher", "slurm") == 0
    assert capsys.readouterr().out == "sweep    small, 4 runs: 4 done\n"


def test_agents_are_told_how(sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("--launcher", "wandb") == 0
    assert capsys.readouterr().out.splitlines() == [
        "written  runs/sweeps/wandb/small.yaml",
        "once     uv run wandb sweep --project scconv_lab runs/sweeps/wandb/small.yaml",
        "agents   uv run wandb agent SWEEP_ID  (as often as you like, wherever runs/sweeps is)",
    ]
    (values,) = (
        p["values"] for p in yaml.safe_load(Path("runs/sweeps/wandb/small.yaml").read_text())["parameters"].values()
    )
    assert len(values) == 4
    assert all(Path(value).is_file() for value in values)


@pytest.mark.parametrize("launcher", [["slurm", "--dry-run"], ["wandb"]], ids=lambda words: words[0])
def test_what_only_the_local_launcher_heeds_is_told(
    sweep: Callable[..., int], launcher: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for_here = {"early_stop": {"reference": "plain", "after": 3}, "resources": {"runs_per_gpu": 2}}
    assert sweep("--launcher", *launcher, **for_here) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note ")]
    assert notes == [
        "note     `early_stop` only works with --launcher local; ignored here",
        "note     `resources.runs_per_gpu` only works with --launcher local; ignored here",
    ]


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--help"]) == 0
    output = capsys.readouterr().out
    for option in ("--config", "--set", "--only", "--plan", "--status", "--retry-failed", "--launcher", "--slurm"):
        assert option in output
