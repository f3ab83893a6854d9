"""README's commands and code do what it says."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from scconv_lab.cli import main
from scconv_lab.grid.expand import expand
from scconv_lab.grid.file import read_sweep
from tests.runs import REPOSITORY, Command, Run

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
SHELL = [line for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL) for line in block.splitlines() if line]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
FIRST, SECOND, *OTHERS = SHELL
COSTS = [line for line in OTHERS if "scconv-lab cost " in line]
SWEEPS = [line for line in OTHERS if "scconv-lab sweep " in line]
FITS = [line for line in OTHERS if "scconv-lab fit " in line]
RESULTS = [line for line in OTHERS if "scconv-lab results " in line]
MARKS = {"--device": [pytest.mark.slow], "--paper": [pytest.mark.slow, pytest.mark.full]}
"""The paper's table is also printed by `tests/cost/test_paper.py`, from rows that its tests share."""


def arguments(line: str) -> list[str]:
    prefix, words = shlex.split(line)[:4], shlex.split(line)[4:]
    assert prefix == ["uv", "run", "--locked", "scconv-lab"]
    return words


def test_the_two_commands_are_what_is_run() -> None:
    assert arguments(FIRST)[:2] == ["sweep", "experiments/sweeps/table1.yaml"]
    assert sorted([*COSTS, *SWEEPS, *FITS, *RESULTS]) == sorted(OTHERS)
    assert SECOND == "uv run --locked pytest"
    assert SECOND in (REPOSITORY / ".ci/run").read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
def test_first_command_does_its_runs_once(command: Command, full: bool) -> None:
    """With one epoch, and with `--full` as it stands."""
    first = [*arguments(FIRST), *([] if full else ["--set", "trainer.max_epochs=1"])]
    finished = command(*first, timeout=600)
    assert (finished.returncode, finished.stderr) == (0, "")
    head, _, _ = shown_sweep().partition("...\n")
    assert head.splitlines()[0] in finished.stdout.splitlines()
    assert measured_apart(results_of(finished.stdout)) == measured_apart(results_of(shown_sweep()))
    again = command(*first)
    assert again.returncode == 0
    assert again.stdout.splitlines()[2:] == results_of(finished.stdout).splitlines()
    line = RESULTS[0]
    asked = command(*arguments(line))
    assert asked.returncode == 2  # seven of ten seeds are missing
    assert results_of(asked.stdout).splitlines()[-10:] == results_of(finished.stdout).splitlines()[-10:]


def test_first_commands_runs_are_those_of_readme(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    assert main([*arguments(FIRST), "--status"]) == 0
    shown = re.findall(r"(\S+) +s(\d) +done +(\w{12}) ", shown_sweep())
    assert shown
    assert set(shown) <= set(re.findall(r"^(\S+) +(\d) +(\w{12}) ", capfd.readouterr().out, re.MULTILINE))


def test_the_published_numbers_are_those_of_the_ledger(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`scconv-lab results ENTRY --format markdown --rows contrasts --into README.md` writes them."""
    monkeypatch.chdir(REPOSITORY)
    assert main(arguments(RESULTS[1])) == 0
    assert "verdicts follow" in capsys.readouterr().out
    entry = arguments(RESULTS[1])[1]
    assert main(["results", entry, "--format", "markdown", "--rows", "contrasts"]) == 0
    name = Path(entry).stem
    shown = README.partition(f"<!-- results {name} -->\n")[2].partition(f"<!-- end of results {name} -->")[0]
    assert capsys.readouterr().out == shown != ""


def test_every_entry_of_the_ledger_follows_from_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    entries = [str(path) for path in Path("experiments/results").glob("*.json")]
    assert main(["results", *entries, "--verify", "0"]) == 0


def shown_sweep() -> str:
    """What README shows of the first command."""
    (block,) = re.findall(r"typed again it prints only the results:\n\n```text\n(.*?)```", README, re.DOTALL)
    return block


def results_of(output: str) -> str:
    """From the line on that says what the results are of."""
    return output[output.index("results  table1") :]


def measured_apart(text: str) -> list[str]:
    """The lines of tables without what is measured, nor how wide it is."""
    text = re.sub(r"[+-]?\d[\d.,]*", "N", text)
    text = re.sub(r"(over )?N to (over )?N|over N", "N", text)
    return [re.sub(r"[ ─]+", " ", line).strip() for line in text.splitlines()]


def test_first_fit_learns_digits_and_says_where_the_run_lies(quick_run: Run) -> None:
    assert max(quick_run.console("val/acc1")) > 0.95
    assert (quick_run.folder / "config.yaml").is_file()
    for line in ("look     uv run wandb leet runs/", "upload   uv run wandb sync runs/"):
        assert line in quick_run.output


def test_output_in_readme_is_the_first_fits(quick_run: Run) -> None:
    """Names, counts and layout; measured values, seconds and the folder's name differ from run to run."""

    def shape(text: str) -> list[str]:
        text = re.sub(r"\d{8}[-_]\d{6}(-\w{8})?", "TIME", text)
        return [re.sub(r"\d+\.\d+", "N", line) for line in text.splitlines()]

    (block,) = re.findall(r"configs/scale/quick.yaml\n```\n\n```text\n(run .*?)```", README, re.DOTALL)
    printed, shown = shape(quick_run.output), shape(block)
    cut = shown.index("...")
    head, tail = shown[:cut], shown[cut + 1 :]
    assert printed[: len(head)] == head
    assert printed[-len(tail) :] == tail


@pytest.mark.parametrize("line", SWEEPS)
def test_sweeps_are_planned_and_told(
    line: str, workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    assert main(arguments(line)) == 0
    assert re.search(r"^S +0 +ccdb8ad2484b |^#SBATCH --array=0-59$", capsys.readouterr().out, re.MULTILINE)


def test_the_sweep_in_readme_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(name: .*?)```", README, re.DOTALL)
    file = tmp_path / "experiments/sweeps/alpha.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(block)
    assert [arm.name for arm in expand(read_sweep(file))] == ["alpha=0.25", "alpha=0.5", "alpha=0.75"]


@pytest.mark.parametrize("line", [line for line in FITS[1:] if "ddp" not in line])
def test_other_commands_run(
    line: str, workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    assert main(arguments(line)) == 0
    assert "test/acc1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [pytest.param(line, marks=[m for option in MARKS if option in line for m in MARKS[option]]) for line in COSTS],
)
def test_costs_are_told(
    line: str, workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.setattr("scconv_lab.complexity.measure._SECONDS", 0.1)  # of each of up to twelve cases
    assert main(arguments(line)) == 0
    assert "params" in capsys.readouterr().out


def test_costs_shown_in_readme_are_what_is_printed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    (block,) = re.findall(r"```bash\n(.* cost .*)\n```\n\n```text\n(.*?)```", README, re.DOTALL)
    line, shown = block
    assert main(arguments(line.splitlines()[-1])) == 0
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == shown.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in FITS if "ddp" in line])
def test_commands_of_several_processes_run(line: str, command: Command) -> None:
    finished = command(*arguments(line))
    assert finished.returncode == 0, finished.stderr
    assert "test/acc1" in finished.stdout


@pytest.mark.parametrize("line", re.findall(r"^uv run --locked scconv-lab fit.*(?:gpu|ddp|small)\.yaml$", README, re.M))
def test_commands_that_need_more_than_this_machine_name_files_that_are_there(line: str) -> None:
    files = [word for word in arguments(line) if word.endswith(".yaml")]
    assert files
    assert not [file for file in files if not (REPOSITORY / file).is_file()]


@pytest.mark.parametrize("line", re.findall(r"^uv run --locked scconv-lab .*RUN/.*$", README, re.M))
def test_commands_on_a_run_work(
    line: str,
    quick_run: Run,
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(workspace)
    copy = shutil.copytree(quick_run.folder, tmp_path / "RUN")
    assert main([word.replace("RUN/", f"{copy}/") for word in arguments(line)]) == 0
    assert re.search(r"test/acc1|written  .*best\.onnx", capsys.readouterr().out)


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.splitlines()[0])
def test_python_runs(code: str, quick_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code.replace("RUN/", f"{quick_run.folder}/"), "README.md", "exec"), {})
    printed = capsys.readouterr().out
    for comment in re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE):
        assert comment in printed


def test_files_named_in_readme_exist() -> None:
    named = set(re.findall(r"\b((?:configs|experiments|notebooks|scconv_lab|tests)/[\w./]+\w)", README))
    assert len(named) > 10
    assert not [name for name in named if not (REPOSITORY / Path(name)).exists()]
