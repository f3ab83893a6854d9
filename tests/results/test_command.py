"""`scconv-lab results`, as a person types it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from scconv_lab.cli import main
from tests.results.made import PLAIN, SWEEP, S, change, made_run, made_sweep, run_of, with_predictions

FILE = "sweeps/small.yaml"


def output(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["results", *arguments]) == code
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["results", *arguments]) == 2
    return capsys.readouterr().err


def test_runs_arms_contrasts_and_the_verdict(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = output(capsys, FILE)
    assert (
        "results  small: test/acc1 in points of last.ckpt (higher is better); 6 seeds planned; margin 1; paired"
        in printed
    )
    assert "plain     0  plain-0  done       90.10" in printed
    assert "plain 6 90.17 0.22" in " ".join(printed.split())
    assert "S against plain  6       +3.02" in printed
    assert "better" in printed
    assert "left out" not in printed
    assert "note" not in printed


def test_equal_arms_are_equivalent(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_sweep(here, {"plain": PLAIN, "S": PLAIN[::-1]})
    assert "equivalent" in output(capsys, FILE)


class TestWhatDoesNotCount:
    def test_a_missing_seed(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        made_sweep(here / "again", {"plain": PLAIN, "S": [*S[:5], None]})
        printed = output(capsys, "again/sweeps/small.yaml", "--root", "again/runs/sweeps", code=2)
        assert "left out S, seed 5: not run" in printed
        assert "note     all contrasts: not all planned seeds are there; seed 5 left out" in printed

    def test_two_commits(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        change(run_of(here, "S", 5), code={"scconv_lab": "ba9876543210"})
        printed = output(capsys, FILE, code=2)
        assert "left out S, seed 5: differs: code of the lab is ba9876543210, and of most runs 0123456789ab" in printed

    def test_a_truncated_file(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (run_of(here, "S", 5) / "results.json").write_text('{"schema": 1')
        printed = output(capsys, FILE, code=2)
        assert "left out S, seed 5: damaged: runs/sweeps/S-5/results.json cannot be read" in printed

    def test_a_value_that_is_not_finite(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """It ends the run for good, so the arm is judged with that said, and cannot be better."""
        change(run_of(here, "S", 5), last={"test/acc1": float("nan")})
        printed = output(capsys, FILE)
        assert "left out S, seed 5: test/acc1 is not finite" in printed
        assert "S: 1 of 6 diverged" in printed
        assert "cannot tell" in printed

    def test_a_run_of_an_earlier_version(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        change(run_of(here, "S", 5), last=None)
        assert "results.json lacks test/acc1 of last.ckpt; `scconv-lab results --fill` adds it" in output(
            capsys, FILE, code=2
        )

    def test_another_test_set(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for seed in range(6):
            change(run_of(here, "S", seed), test_labels="0000")
        assert "note     all contrasts: the two were tested on other images" in output(capsys, FILE, code=2)


class TestOtherThanPlanned:
    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            (["--margin", "2"], "--margin"),
            (["--metric", "test/loss"], "--metric"),
            (["--checkpoint", "best"], "--checkpoint"),
            (["--against", "S"], "--against"),
            (["--margin", "2", "--metric", "test/loss"], "--metric and --margin"),
        ],
    )
    def test_it_is_exploratory(
        self, here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
    ) -> None:
        printed = output(capsys, FILE, *arguments)
        assert f"{why} is not as the file has it" in printed
        assert "exploratory" in printed

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--margin", "1.0"],
            ["--metric", "test/acc1"],
            ["--checkpoint", "last"],
            ["--against", "plain"],
            ["--scope=seeds"],
        ],
    )
    def test_what_the_file_says_is_not(
        self, here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
    ) -> None:
        assert output(capsys, FILE, *arguments).splitlines()[1:] == output(capsys, FILE).splitlines()[1:]

    def test_images(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        made_sweep(here, {"plain": PLAIN, "S": S}, content={"scope": "images"})
        assert "scope images needs the predictions of paired runs" in output(capsys, FILE)
        generator = np.random.default_rng(0)
        for arm, rate in (("plain", 0.7), ("S", 0.95)):
            for seed in range(6):
                with_predictions(run_of(here, arm, seed), generator.random(2000) < rate)
        printed = output(capsys, FILE)
        assert "for new seeds and new images" in " ".join(printed.split())
        assert "better" in printed.splitlines()[-2]


class TestFormats:
    def test_csv(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        runs = list(csv.DictReader(output(capsys, FILE, "--format", "csv").splitlines()))
        assert [float(run["test/acc1"]) for run in runs] == pytest.approx([100 * value for value in (*PLAIN, *S)])
        (contrast,) = csv.DictReader(output(capsys, FILE, "--format=csv", "--rows=contrasts").splitlines())
        assert (contrast["verdict"], contrast["reference"]) == ("better", "plain")

    def test_json(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        found = json.loads(output(capsys, FILE, "--format", "json"))
        assert (len(found["runs"]), len(found["arms"]), len(found["contrasts"])) == (12, 2, 1)
        assert (found["metric"], found["unit"], found["margin"]) == ("test/acc1", "points", 1.0)

    def test_markdown(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        printed = output(capsys, FILE, "--format", "markdown")
        assert "| plain | 6 | 6 | 90.17 |" in printed
        tables = [block for block in printed.split("\n\n") if block.startswith("|")]
        assert len(tables) == 2
        for table in tables:
            assert len({line.count("|") for line in table.splitlines()}) == 1

    def test_latex_escapes_its_own_signs(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        grid = {"arm": {"plain": {}, "C&S_50%": {"a": 1}}}
        made_sweep(here, {"plain": PLAIN, "C&S_50%": S}, content={"grid": grid})
        printed = output(capsys, FILE, "--format", "latex")
        assert r"C\&S\_50\% & 6" in printed
        assert printed.count(r"\toprule") == printed.count(r"\bottomrule") == 2

    def test_model_index(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        found = yaml.safe_load(output(capsys, FILE, "--format", "model-index"))["model-index"]
        assert [model["name"] for model in found] == ["plain", "S"]
        (metric,) = found[0]["results"][0]["metrics"]
        assert metric == {
            "type": "accuracy",
            "name": "test/acc1, mean of 6 seeds",
            "value": pytest.approx(90.1667, abs=1e-4),
        }

    def test_no_rows_to_write(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        made_sweep(here, {"plain": PLAIN, "S": S}, content={"contrasts": None})
        assert "--rows contrasts: small has none" in refusal(capsys, FILE, "--format=csv", "--rows=contrasts")


PUBLISHED = {"published": {"source": "A, Table 1", "data": "Digits", "epochs": 15, "values": {"plain": 78.6}}}


class TestPublished:
    def test_it_stands_beside_runs_like_its_own(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        made_sweep(here, {"plain": PLAIN, "S": S}, content=PUBLISHED)
        printed = " ".join(output(capsys, FILE).split())
        assert "published: A, Table 1; these runs set 240 training images aside" in printed
        assert "1,000 2,000 78.60" in printed

    def test_and_not_beside_others(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        made_sweep(here, {"plain": PLAIN, "S": S}, content=PUBLISHED)
        change(run_of(here, "S", 0), epochs=3)
        assert "published" not in output(capsys, FILE)


def test_latency_is_shown_where_it_was_measured(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "  ms" not in output(capsys, FILE)
    change(run_of(here, "S", 0), **{"perf/latency_ms": 1.25})
    printed = output(capsys, FILE)
    assert "  ms" in printed
    assert "1.25" in printed


def test_folders(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = output(capsys, "runs/sweeps", "--against", "plain", "--margin", "0.5")
    assert "exploratory" in printed
    assert "no sweep's file was given" in printed
    assert "contrast" not in output(capsys, "runs/sweeps")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: FILE"),
        (["none.yaml"], "none.yaml, which is not there"),
        (["none"], "none is neither a sweep's file nor a folder"),
        ([FILE, "runs"], "results takes one sweep's file (sweeps/small.yaml) or folders"),
        ([FILE, "--metric", "accuracy"], "--metric (='accuracy') must be a metric of a test"),
        ([FILE, "--margin", "-1"], "--margin -1.0 must be a number above 0"),
        ([FILE, "--margin", "nan"], "--margin nan must be a number above 0"),
        ([FILE, "--against", "plian"], "--against plian is no arm; did you mean 'plain'?"),
        ([FILE, "--format", "xls"], "invalid choice"),
        ([FILE, "--config", "other.yaml"], "it was never launched so"),
        (["runs", "--config", "other.yaml"], "--config is for a sweep's file; leave it out"),
        ([FILE, "--agianst", "plain"], "results has no option '--agianst'; did you mean '--against'?"),
    ],
)
def test_what_cannot_be_answered(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in refusal(capsys, *arguments)


def test_three_hundred_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arms = {f"arm{index}": {"a": index} for index in range(30)}
    values = np.random.default_rng(0).normal(0.9, 0.002, (30, 10))
    made_sweep(
        tmp_path,
        {arm: values[index].tolist() for index, arm in enumerate(arms)},
        content={"grid": {"arm": arms}, "seeds": [*range(10)], "contrasts": {"axis": "arm", "reference": "arm0"}},
    )
    printed = output(capsys, FILE)
    assert printed.count(" against arm0") == 29
    assert "arm29-9" not in printed  # more runs than a screen is good for
    assert len(output(capsys, FILE, "--format", "csv").splitlines()) == 301


def test_a_sweep_without_contrasts_is_a_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {key: value for key, value in SWEEP.items() if key not in ("contrasts", "margin")}
    (here / FILE).write_text(yaml.safe_dump(content))
    printed = output(capsys, FILE)
    assert "plain  6" in printed
    assert "contrast" not in printed


def test_a_run_that_is_shared_by_two_sweeps_is_in_both(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each says its own name of the arm."""
    made_run(run_of(here, "S", 0), 0.931, arm="another name", experiment="another")
    assert "S         0  S-0      done       93.10" in output(capsys, FILE)
