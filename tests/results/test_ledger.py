"""The ledger: shards join, what is published is not changed, and what was altered is found."""

import json
from pathlib import Path
from typing import Any

import pytest

from scconv_lab.cli import main
from scconv_lab.results.ledger import hash_of, sealed
from tests.results.made import PLAIN, S, change, made_sweep, run_of

FILE = "sweeps/small.yaml"
ENTRY = "experiments/results/small.json"


def published(*, code: int = 0) -> None:
    assert main(["results", FILE, "--publish", "small"]) == code


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(["results", *arguments]) == 2
    return capsys.readouterr().err


def shard(here: Path, seed: int) -> Path:
    return here / f"experiments/results/shards/small-s{seed}.json"


def altered(file: Path, change: Any) -> None:
    """Change a file of the ledger as a forger would who knows of the hash."""
    content = json.loads(file.read_text())
    content.pop("hash")
    change(content)
    file.write_text(sealed(content))


def test_a_shard_for_each_seed_and_an_entry(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published()
    assert "entry    experiments/results/small.json, look 1 of 1" in capsys.readouterr().out
    assert [shard(here, seed).is_file() for seed in range(7)] == [True] * 6 + [False]
    entry = json.loads((here / ENTRY).read_text())
    (look,) = entry["looks"]
    assert (look["seeds"], look["contrasts"][0]["verdict"]) == (6, "better")
    assert entry["hash"] == hash_of({key: value for key, value in entry.items() if key != "hash"})
    runs = json.loads(shard(here, 3).read_text())["runs"]
    assert [(run["arm"], run["seed"], run["results"]["last"]["test/acc1"]) for run in runs] == [
        ("plain", 3, 0.903),
        ("S", 3, 0.932),
    ]


def test_it_is_written_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published()
    before = {path: path.read_bytes() for path in (here / "experiments").rglob("*.json")}
    capsys.readouterr()
    published()
    assert "nothing new: experiments/results/small.json has it all" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in (here / "experiments").rglob("*.json")} == before


def test_shards_of_several_machines_join(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has half of the seeds; the entry is made where the last are."""
    made_sweep(here / "one", {"plain": [*PLAIN[:3], None, None, None], "S": [*S[:3], None, None, None]})
    assert main(["results", FILE, "--root", "one/runs/sweeps", "--publish", "small"]) == 0
    assert "no entry yet: seeds 3, 4, 5 are missing" in capsys.readouterr().out
    assert not (here / ENTRY).exists()
    made_sweep(here / "two", {"plain": [None] * 3 + PLAIN[3:], "S": [None] * 3 + S[3:]})
    assert main(["results", FILE, "--root", "two/runs/sweeps", "--publish", "small"]) == 0
    joined = json.loads((here / ENTRY).read_text())["looks"]
    (here / ENTRY).unlink()
    published()
    assert json.loads((here / ENTRY).read_text())["looks"] == joined


def test_looks_are_kept_and_counted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_sweep(here, {"plain": PLAIN, "S": [*S[:4], None, None]}, content={"looks": [3, 6]})
    for seed in (4, 5):
        (run_of(here, "S", seed) / "results.json").unlink(missing_ok=True)
    published()
    assert "look 1 of 2" in capsys.readouterr().out
    made_sweep(here, {"plain": PLAIN, "S": S}, content={"looks": [3, 6]})
    published()
    looks = json.loads((here / ENTRY).read_text())["looks"]
    assert [look["seeds"] for look in looks] == [3, 6]
    assert looks[0]["contrasts"][0]["confidence"] > looks[1]["contrasts"][0]["confidence"]


def test_the_entry_is_read_as_the_sweep_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["results", FILE, "--rows", "contrasts"])
    shown = capsys.readouterr().out.splitlines()[3:]
    published()
    capsys.readouterr()
    assert main(["results", ENTRY, "--rows", "contrasts"]) == 0
    assert capsys.readouterr().out.splitlines()[-len(shown) + 1 :] == shown[1:]


class TestRefused:
    @pytest.mark.parametrize(("commit", "what"), [("a" * 40 + "-dirty", "commit a+-dirty"), (None, "no commit at all")])
    def test_uncommitted_code(
        self, commit: str | None, what: str, here: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        change(run_of(here, "S", 2), git_commit=commit)
        message = refused(capsys, FILE, "--publish", "small")
        assert "S, seed 2 was made by " in message
        assert "commit first, and run it again" in message
        assert what.split()[0] in message

    def test_what_was_not_planned(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        message = refused(capsys, FILE, "--margin", "2", "--publish", "small")
        assert "is for what was planned: --margin is not as the file has it" in message
        assert "no sweep's file was given" in refused(capsys, "runs/sweeps", "--publish", "small")

    @pytest.mark.parametrize("name", ["Small", "../small", "", "a b", "x" * 70])
    def test_a_name_that_is_none(self, name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        if name:
            assert "must be of small letters" in refused(capsys, FILE, "--publish", name)

    def test_other_arms_than_are_published(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        published()
        grid = {"arm": {"plain": {}, "S": {"a": 1}, "C": {"a": 2}}}
        made_sweep(here, {"plain": PLAIN, "S": S, "C": PLAIN}, content={"grid": grid})
        message = refused(capsys, FILE, "--publish", "small")
        assert "is published with the arms plain, S, and the sweep has plain, S, C" in message

    def test_other_values_than_are_published(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        published()
        change(run_of(here, "S", 2), last={"test/acc1": 0.99})
        assert "S, seed 2 is published with other values" in refused(capsys, FILE, "--publish", "small")


class TestVerify:
    def test_what_is_whole(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        published()
        capsys.readouterr()
        assert main(["results", ENTRY, "--verify", "1"]) == 0
        printed = capsys.readouterr().out
        assert "level 0  6 shards are as they were written; 1 verdicts follow" in printed
        assert "level 1  12 files of runs are those that were published" in printed

    def test_an_edit_by_hand(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        published()
        for file in (here / ENTRY, shard(here, 1)):
            text = file.read_text()
            file.write_text(text.replace("0.9", "0.8", 1).replace("better", "worse", 1))
            assert "was altered: its hash is not that of its content" in refused(capsys, ENTRY, "--verify", "0")
            assert refused(capsys, ENTRY)
            file.write_text(text)

    def test_a_forged_verdict(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        published()
        altered(here / ENTRY, lambda content: content["looks"][0]["contrasts"][0].update(verdict="equivalent"))
        assert "its contrasts do not follow from its values" in refused(capsys, ENTRY, "--verify", "0")

    def test_a_forged_shard(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        published()
        altered(shard(here, 1), lambda content: content["runs"][1]["results"]["last"].update({"test/acc1": 0.99}))
        assert "is not the shard that experiments/results/small.json was made of" in refused(capsys, ENTRY)

    def test_a_shard_of_another_recipe(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        change(run_of(here, "S", 2), recipe="another")
        published()
        assert "no entry yet" in capsys.readouterr().out

    def test_a_file_of_a_run_that_was_changed_or_is_gone(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        published()
        change(run_of(here, "S", 1), **{"val/acc1": 0.5})
        assert "results.json is not the file that was published: S, seed 1" in refused(capsys, ENTRY, "--verify", "1")
        assert "is not here, so it cannot be checked; name the runs' folder" in refused(
            capsys, ENTRY, "--verify", "1", "--root", "elsewhere"
        )

    @pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", "\0", '{"hash": 1}'])
    def test_a_damaged_file(self, text: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        published()
        (here / ENTRY).write_text(text)
        assert "small.json " in refused(capsys, ENTRY, "--verify", "0")

    def test_what_is_no_entry(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "--verify is for entries of the ledger" in refused(capsys, FILE, "--verify", "0")
        assert "none.json is no file of the ledger" in refused(capsys, "none.json")
        published()
        shard(here, 1).unlink()
        assert "small-s1.json is no file of the ledger (FileNotFoundError" in refused(capsys, ENTRY)
