"""Files of the package are found by their names where no local one is."""

from pathlib import Path

import pytest

from scconv_lab import shipped
from scconv_lab.config import expand_arguments, expand_bases
from scconv_lab.errors import UserError
from scconv_lab.grid.file import read_sweep
from scconv_lab.shipped import locate
from tests.runs import REPOSITORY

BASELINE = REPOSITORY / "experiments/baseline.yaml"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and a process that has used no file of the package yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shipped, "_used", {})
    return tmp_path


def write(name: str, text: str = "") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_clone_has_the_files_at_its_root() -> None:
    assert shipped.root() == REPOSITORY
    assert "experiments/sweeps/table1.yaml" in shipped.names()
    assert "configs/scale/quick.yaml" in shipped.names()


def test_a_wheel_has_them_beside_the_module(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("configs/a.yaml", "experiments/a.yaml"):
        write(f"scconv_lab/shipped/{name}")
    monkeypatch.setattr(shipped, "__file__", str(here / "scconv_lab/shipped/__init__.py"))
    assert shipped.root() == here / "scconv_lab/shipped"
    assert shipped.names() == ["configs/a.yaml", "experiments/a.yaml"]


@pytest.mark.parametrize("name", ["experiments/baseline.yaml", "./experiments/../experiments/baseline.yaml"])
def test_a_name_that_is_not_here_is_the_packages(name: str) -> None:
    assert locate(name) == BASELINE


def test_a_local_file_wins() -> None:
    write("experiments/baseline.yaml")
    assert locate("experiments/baseline.yaml") == Path("experiments/baseline.yaml")


def test_a_link_that_leads_nowhere_is_a_local_file() -> None:
    Path("experiments").mkdir()
    Path("experiments/baseline.yaml").symlink_to("nowhere")
    assert locate("experiments/baseline.yaml") == Path("experiments/baseline.yaml")


@pytest.mark.parametrize(
    "name",
    [
        "/nowhere/experiments/baseline.yaml",
        "nowhere/experiments/baseline.yaml",
        "../experiments/baseline.yaml",
        "baseline.yaml",
        "experiments/nothing.yaml",
        "experiments",
        "experiments/../pyproject.toml",
        "configs/../../scconv_lab/cli.py",
        "",
        "a\0b",
        "experiments/" + 5000 * "x",
    ],
)
def test_no_other_name_is_looked_up(name: str) -> None:
    assert locate(name) == Path(name)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("mine.yaml", "experiments/baseline.yaml"),
        ("mine.yaml", "../experiments/baseline.yaml"),
        ("mine/own.yaml", "../experiments/baseline.yaml"),
        ("experiments/mine.yaml", "baseline.yaml"),
        ("experiments/sweeps/mine.yaml", "../baseline.yaml"),
        ("configs/net/mine.yaml", "../../experiments/baseline.yaml"),
    ],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_a_file_of_ones_own_builds_on_the_packages(here: Path, file: str, name: str, absolute: bool) -> None:
    """By the name that would hold in the repository, or in a copy of a part of it."""
    write(file)
    assert locate(name, named_by=here / file if absolute else Path(file)) == BASELINE


@pytest.mark.parametrize(
    "name", ["../team/experiments/baseline.yaml", "/nowhere/experiments/baseline.yaml", "quick.yaml"]
)
def test_a_base_elsewhere_is_not_replaced(name: str) -> None:
    assert not str(locate(name, named_by=Path("mine.yaml"))).startswith(str(REPOSITORY))


def test_files_of_the_package_build_on_each_other() -> None:
    """Whatever lies in the working folder, which may hold another project's configs/."""
    write("configs/unit/sru.yaml", "other: project")
    files = expand_bases(locate("experiments/ablation_sru.yaml"))
    assert REPOSITORY / "configs/unit/sru.yaml" in files
    assert all(file.is_relative_to(REPOSITORY) for file in files)


def test_arguments_name_files_of_the_package_and_local_ones() -> None:
    write("mine.yaml", "bases: [experiments/baseline.yaml]\nseed_everything: 1\n")
    expanded, experiment = expand_arguments(["fit", "--config", "mine.yaml", "--config=configs/scale/quick.yaml"])
    assert expanded[-4:] == ["--config", "mine.yaml", "--config", str(REPOSITORY / "configs/scale/quick.yaml")]
    assert str(BASELINE) in expanded
    assert experiment == "mine"


def test_a_sweep_names_files_of_the_package() -> None:
    grid = "grid: {arm: {plain: {}, S: {config: configs/unit/sru.yaml}}}"
    file = write("own.yaml", f"name: own\nexperiment: experiments/baseline.yaml\n{grid}\nseeds: [0]\n")
    sweep = read_sweep(file)
    assert sweep.experiment == BASELINE
    assert sweep.axes["arm"]["S"]["config"] == [REPOSITORY / "configs/unit/sru.yaml"]


def test_what_is_used_is_said_once_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fit", "--config", "experiments/ablation_sru.yaml", "--config", "configs/scale/quick.yaml"]
    expand_arguments(arguments)
    expand_arguments(arguments)
    assert capsys.readouterr() == (
        "",
        "scconv-lab: from the package: experiments/ablation_sru.yaml, configs/scale/quick.yaml "
        "(`scconv-lab init FOLDER` copies them)\n",
    )


def test_many_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("alpha", "controls", "fusion", "table1"):
        locate(f"experiments/sweeps/{name}.yaml")
    shipped.say_used()
    assert "experiments/sweeps/alpha.yaml, experiments/sweeps/controls.yaml, 2 more (" in capsys.readouterr().err


@pytest.mark.parametrize("variable", ["LOCAL_RANK", "SLURM_PROCID"])
def test_the_first_process_says_it(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "1")
    locate("experiments/baseline.yaml")
    shipped.say_used()
    assert capsys.readouterr().err == ""


def test_nothing_is_said_of_local_files(capsys: pytest.CaptureFixture[str]) -> None:
    write("experiments/baseline.yaml", "seed_everything: 1\n")
    expand_arguments(["fit", "--config", "experiments/baseline.yaml"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["experiments/ablation_sur.yaml", "./experiments/ablation_sur.yaml"])
def test_a_name_that_is_nearly_one_of_the_packages_gets_that(name: str) -> None:
    with pytest.raises(UserError, match=r"not there; did you mean 'experiments/ablation_sru\.yaml'\?"):
        expand_arguments(["fit", "--config", name])


def test_commands_are_typed_by_uv_in_a_clone_alone(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shipped.typed("wandb login") == "uv run wandb login"
    monkeypatch.setattr(shipped, "root", lambda: here)
    assert shipped.typed("wandb login") == "wandb login"
