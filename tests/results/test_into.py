"""Results between two markers of a text."""

from pathlib import Path

import pytest

from scconv_lab.cli import main
from scconv_lab.errors import UserError
from scconv_lab.results.into import put_into
from tests.results.made import PLAIN, S, made_sweep

TEXT = "# Title\n\n<!-- results small -->\nold\n<!-- end of results small -->\nrest\n"


def test_what_stands_between_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(TEXT)
    assert put_into(file, "small", "| new |\n")
    assert file.read_text() == TEXT.replace("old\n", "| new |\n")
    assert not put_into(file, "small", "| new |\n")


@pytest.mark.parametrize(
    "text", ["", TEXT.replace("results small", "results other"), TEXT + TEXT, TEXT.replace("<!-- end", "end")]
)
def test_without_markers_nothing_is_written(text: str, tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(text)
    with pytest.raises(UserError, match="needs a line '<!-- results small -->' and a line"):
        put_into(file, "small", "new\n")
    assert file.read_text() == text


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    made_sweep(tmp_path, {"plain": PLAIN, "S": S})
    Path("README.md").write_text(TEXT)
    command = ["results", "sweeps/small.yaml", "--format", "markdown", "--rows", "contrasts"]
    assert main([*command, "--into", "README.md"]) == 0
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] in Path("README.md").read_text()
    assert main([*command[:2], "--into", "README.md"]) == 2
    assert "--into is for --format markdown" in capsys.readouterr().err
    assert main([*command, "--into", "none.md"]) == 2
