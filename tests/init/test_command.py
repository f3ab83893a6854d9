"""`scconv-lab init`: a copy to edit, that replaces nothing."""

import os
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from scconv_lab import shipped
from scconv_lab.cli import main
from tests.runs import REPOSITORY


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*.yaml")}


@pytest.mark.parametrize("folder", ["lab", "a folder/within", "."])
def test_configs_and_experiments_are_copied(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", folder]) == 0
    assert sorted(os.listdir(folder)) == ["configs", "experiments"]
    for name in ("configs", "experiments"):
        assert files(Path(folder, name)) == files(REPOSITORY / name)
    copied, what_next = capsys.readouterr().out.splitlines()
    assert copied == f"copied   {Path(folder, 'configs')}, {Path(folder, 'experiments')}: {len(shipped.names())} files"
    words = shlex.split(what_next)
    assert words[: words.index("scconv-lab")] == ["next", *([] if folder == "." else ["cd", folder, "&&"])]
    given = words[words.index("scconv-lab") :]
    assert all(Path(folder, file).is_file() for option, file in pairwise(given) if option == "--config")


def test_a_copy_can_be_edited_where_the_package_cannot(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("configs/a.yaml", "experiments/a.yaml"):
        file = here / "package" / name
        file.parent.mkdir(parents=True)
        file.write_text("key: 1\n")
        file.chmod(0o444)
    (here / "package/configs/__pycache__").mkdir()
    (here / "package/configs/.hidden").touch()
    monkeypatch.setattr(shipped, "root", lambda: here / "package")
    assert main(["init", "lab"]) == 0
    assert os.listdir("lab/configs") == ["a.yaml"]
    assert Path("lab/configs/a.yaml").stat().st_mode & 0o200


@pytest.mark.parametrize("there", ["configs", "experiments"])
@pytest.mark.parametrize("kind", ["folder", "file", "link that leads nowhere"])
def test_nothing_is_overwritten(there: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("lab", there)
    path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.touch()
    else:
        path.symlink_to("nowhere")
    assert main(["init", "lab"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"scconv-lab: error: lab/{there} is there already, and nothing was copied; ")
    assert error.count("\n") == 1
    assert os.listdir("lab") == [there]


def test_a_copy_that_fails_leaves_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "package/configs").mkdir(parents=True)
    monkeypatch.setattr(shipped, "root", lambda: here / "package")  # without experiments
    assert main(["init", "lab"]) == 2
    assert "lab cannot be written to" in capsys.readouterr().err
    assert os.listdir("lab") == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["file"], "file cannot be written to (File exists)"),
        (["file/lab"], "file/lab cannot be written to (Not a directory)"),
        ([], "init: the following arguments are required: FOLDER; give a folder, such as"),
        (["lab", "more"], "init: unrecognized arguments: more"),
        (["lab", "--force"], "init has no option '--force'"),
    ],
)
def test_a_mistake_gets_one_message(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    assert main(["init", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("scconv-lab: error: ")
    assert expected in error
    assert error.count("\n") == 1
    assert os.listdir() == ["file"]
