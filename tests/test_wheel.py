"""The wheel, as it is built and as it works where nothing of the repository is."""

import os
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.runs import REPOSITORY, command_environment

UV = os.environ.get("UV") or shutil.which("uv")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not UV, reason="needs uv")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a copy of the repository, without a network."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("scconv_lab", "configs", "experiments", "tests", "notebooks"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    command = [str(UV), "build", "--wheel", "--offline", "--no-config", "--out-dir", str(out), str(source)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert finished.returncode == 0, finished.stderr
    (file,) = out.glob("*.whl")
    return file


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_it_holds_the_package_and_its_configurations_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    expected = {f"scconv_lab/{name}": content for name, content in files(REPOSITORY / "scconv_lab").items()}
    for folder in ("configs", "experiments"):
        expected |= {
            f"scconv_lab/shipped/{folder}/{name}": content for name, content in files(REPOSITORY / folder).items()
        }
    assert found.keys() == expected.keys()
    assert found == expected


def test_its_metadata_has_the_extras(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read("scconv_lab-0.1.0.dist-info/METADATA").decode())
        entry_points = archive.read("scconv_lab-0.1.0.dist-info/entry_points.txt").decode()
    assert metadata.get_all("Provides-Extra") == ["export", "report"]
    needed = metadata.get_all("Requires-Dist")
    assert all("extra == 'export'" in line for line in needed if line.startswith("onnx"))
    assert all("extra == 'report'" in line for line in needed if line.startswith("matplotlib"))
    assert "scconv-lab = scconv_lab.cli:main" in entry_points


def test_its_experiments_run_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    package, here = tmp_path / "package", tmp_path / "here"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(package)
    here.mkdir()

    def lab(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = command_environment(tmp_path) | {"PYTHONPATH": str(package)}
        command = [sys.executable, "-m", "scconv_lab", *arguments]
        return subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=240)

    fit = ["fit", "--config", "experiments/ablation_sru.yaml", "--config", "configs/scale/quick.yaml"]
    finished = lab(*fit, "--trainer.max_epochs", "1")
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == (
        "scconv-lab: from the package: experiments/ablation_sru.yaml, configs/scale/quick.yaml "
        "(`scconv-lab init FOLDER` copies them)\n"
    )
    assert "\nlook     wandb leet runs/" in finished.stdout
    (config,) = here.glob("runs/*/*/config.yaml")
    assert str(package) not in config.read_text()
    assert lab("init", "lab").returncode == 0
    published = [name for name in files(REPOSITORY / "experiments") if name.startswith("results/")]
    copied = {
        **files(here / "lab/experiments"),
        **{name: files(REPOSITORY / "experiments")[name] for name in published},
    }
    assert published
    assert copied == files(REPOSITORY / "experiments")
    entry = "experiments/results/table1_digits.json"
    assert lab("results", entry, "--report", "report").returncode == 0
    assert (here / "report/index.html").is_file()
