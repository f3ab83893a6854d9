"""Which runs a question is about, and what is said where there are none."""

import json
from pathlib import Path
from typing import Any

import pytest

from scconv_lab.errors import UserError
from scconv_lab.grid.file import read_sweep
from scconv_lab.results.collect import of_folders, of_sweep
from scconv_lab.run_folder.members import Launch, Member, note_launch
from tests.results.made import PLAIN, S, made_run, made_sweep, run_of


def collected(file: Path, here: Path, **how: Any) -> Any:
    return of_sweep(read_sweep(file), root=here / "runs/sweeps", **how)


def test_the_runs_of_a_sweep_are_those_of_its_last_launch(tmp_path: Path) -> None:
    file = made_sweep(tmp_path, {"plain": PLAIN, "S": S})
    question, runs, launch = collected(file, tmp_path)
    assert [(run.arm, run.seed, run.state) for run in runs] == [
        (arm, seed, "done") for arm in ("plain", "S") for seed in range(6)
    ]
    assert (question.name, dict(question.planned)) == ("small", dict.fromkeys(("plain", "S"), (0, 1, 2, 3, 4, 5)))
    assert str(launch) == "no options"


def test_seeds_that_the_file_has_since_are_not_run(tmp_path: Path) -> None:
    file = made_sweep(tmp_path, {"plain": PLAIN, "S": S}, content={"seeds": [*range(7)]})
    _, runs, _ = collected(file, tmp_path)
    assert [(run.arm, run.seed, run.note) for run in runs if run.state == "new"] == [
        (arm, 6, "not in the last launch") for arm in ("plain", "S")
    ]


def test_a_launch_with_other_files_is_kept_apart(tmp_path: Path) -> None:
    file = made_sweep(tmp_path, {"plain": PLAIN, "S": S})
    made_run(tmp_path / "runs/sweeps/quick", 0.5)
    note_launch(tmp_path / "runs/sweeps", "small", Launch(("quick.yaml",), ("a=1",), (Member("quick", "S", 0),)))
    _, runs, launch = collected(file, tmp_path)
    assert str(launch) == "--config quick.yaml --set a=1"
    assert sum(run.state == "done" for run in runs) == 1
    with pytest.raises(
        UserError, match=r"it was never launched so; it was with --config quick\.yaml --set a=1, or with no"
    ):
        collected(file, tmp_path, configs=["other.yaml"])
    _, runs, _ = collected(file, tmp_path, configs=["quick.yaml"], keys=["a=1"])
    assert sum(run.state == "done" for run in runs) == 1


def test_a_sweep_that_was_never_launched(tmp_path: Path) -> None:
    file = made_sweep(tmp_path, {"plain": PLAIN})
    (tmp_path / "runs/sweeps/small.json").unlink()
    with pytest.raises(UserError, match=r"no runs of 'small' in .*; `scconv-lab sweep .*small.yaml` makes them"):
        collected(file, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"launches": [{}]}', '{"launches": {"runs": 3}}', "\0"])
def test_a_damaged_list_of_members(tmp_path: Path, text: str) -> None:
    file = made_sweep(tmp_path, {"plain": PLAIN})
    (tmp_path / "runs/sweeps/small.json").write_text(text)
    with pytest.raises(UserError, match=r"small\.json is damaged; launch the sweep again"):
        collected(file, tmp_path)


def test_the_list_of_an_earlier_version(tmp_path: Path) -> None:
    file = made_sweep(tmp_path, {"plain": PLAIN, "S": S})
    kept = tmp_path / "runs/sweeps/small.json"
    (launch,) = json.loads(kept.read_text())["launches"]
    kept.write_text(json.dumps({"sweep": "small", "runs": launch["runs"]}))
    assert sum(run.state == "done" for run in collected(file, tmp_path)[1]) == 12


def test_a_design_that_names_nothing_is_refused_with_its_file(tmp_path: Path) -> None:
    file = made_sweep(tmp_path, {"plain": PLAIN}, content={"contrasts": {"axis": "arm", "reference": "plian"}})
    with pytest.raises(UserError, match=r"small\.yaml: `contrasts` names the reference 'plian'.*'plain'"):
        collected(file, tmp_path)


class TestFolders:
    def test_every_run_in_them_counts_once(self, tmp_path: Path) -> None:
        made_sweep(tmp_path, {"plain": PLAIN, "S": S})
        question, runs = of_folders([tmp_path / "runs", run_of(tmp_path, "S", 0)])
        assert [(run.arm, run.seed) for run in runs] == [(arm, seed) for arm in ("S", "plain") for seed in range(6)]
        assert question.exploratory == "no sweep's file was given"

    def test_what_was_set_aside_does_not(self, tmp_path: Path) -> None:
        made_run(tmp_path / "runs/sweeps/replaced/x-1", 0.5)
        made_run(tmp_path / "runs/sweeps/x", 0.6, arm="S")
        assert len(of_folders([tmp_path / "runs"])[1]) == 1

    @pytest.mark.parametrize(
        ("name", "message"), [("none", "is neither a sweep's file nor a folder"), ("empty", "holds no run")]
    )
    def test_without_a_run(self, tmp_path: Path, name: str, message: str) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(UserError, match=message):
            of_folders([tmp_path / name])

    def test_arms_of_two_sweeps(self, tmp_path: Path) -> None:
        made_run(tmp_path / "a", 0.5, arm="S")
        made_run(tmp_path / "b", 0.5, arm="S", experiment="other")
        with pytest.raises(UserError, match=r"runs of several sweeps \(other, small\); name a sweep's file"):
            of_folders([tmp_path])

    def test_one_seed_twice(self, tmp_path: Path) -> None:
        for name in "ab":
            made_run(tmp_path / name, 0.5, arm="S", seed=3)
        with pytest.raises(UserError, match=r"arm 'S' has seed 3 more than once: .*a, .*b; name those that are meant"):
            of_folders([tmp_path])

    def test_a_run_that_has_only_begun_is_listed(self, tmp_path: Path) -> None:
        (tmp_path / "x/20260101").mkdir(parents=True)
        (tmp_path / "x/20260101/config.yaml").write_text("seed_everything: 0\n")
        _, (run,) = of_folders([tmp_path])
        assert (run.arm, run.state) == ("x", "interrupted")
