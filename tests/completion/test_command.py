"""`scconv-lab completion`: what a shell offers after a press of TAB."""

import shutil
import subprocess
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from scconv_lab.cli import COMMANDS, main
from tests.runs import REPOSITORY

ASK = """\
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_scconv_lab
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The script of each shell, as the command prints it."""
    folder = tmp_path_factory.mktemp("scripts")
    found = {}
    for shell in ("bash", "zsh"):
        with redirect_stdout(StringIO()) as printed:
            assert main(["completion", shell]) == 0
        found[shell] = folder / shell
        found[shell].write_text(printed.getvalue())
    return found


@pytest.fixture
def offered(scripts: dict[str, Path], tmp_path: Path):
    """What bash offers for the last of the words, in a folder that has a file own.yaml."""
    (tmp_path / "own.yaml").touch()

    def ask(words: str) -> list[str]:
        program = ASK.format(script=scripts["bash"], words=words)
        finished = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert finished.stderr == ""
        return finished.stdout.split()

    return ask


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
class TestBash:
    def test_commands(self, offered) -> None:
        assert offered("scconv-lab ''") == [*COMMANDS, "--help", "--version"]
        assert offered("scconv-lab sw") == ["sweep"]

    @pytest.mark.parametrize("command", ["fit", "validate", "test", "predict", "cost", "doctor"])
    def test_keys_and_arguments_of_classes(self, offered, command: str) -> None:
        assert offered(f"scconv-lab {command} --surgery.unit.al") == ["--surgery.unit.alpha"]
        assert offered(f"scconv-lab {command} --trainer.max_e") == ["--trainer.max_epochs"]
        assert "--optimizer.lr" in offered(f"scconv-lab {command} --optimizer.")
        assert offered(f"scconv-lab {command} --conf") == ["--config"]

    def test_a_key_that_cannot_be_given_is_not_offered(self, offered) -> None:
        assert offered("scconv-lab fit --surgery.unit.channels") == []
        assert offered("scconv-lab fit --model.n") == []

    def test_options_are_those_of_the_command(self, offered) -> None:
        assert offered("scconv-lab sweep --la") == ["--launcher"]
        assert offered("scconv-lab export --o") == ["--output"]
        assert offered("scconv-lab export --trainer") == []
        assert offered("scconv-lab init --") == ["--help"]

    def test_files_here_and_of_the_package(self, offered) -> None:
        assert offered("scconv-lab fit --config own") == ["own.yaml"]
        assert offered("scconv-lab fit --config = own") == ["own.yaml"]
        assert offered("scconv-lab fit --config experiments/ablation_s") == [
            "experiments/ablation_scconv.yaml",
            "experiments/ablation_sru.yaml",
        ]
        assert offered("scconv-lab sweep experiments/sweeps/al") == ["experiments/sweeps/alpha.yaml"]
        assert {"own.yaml", "experiments/baseline.yaml"} < set(offered("scconv-lab fit --config ="))


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_script_is_small_and_has_every_file_and_command(shell: str, scripts: dict[str, Path]) -> None:
    """jsonargparse's own is 57 MB, which no shell reads in an hour."""
    text = scripts[shell].read_text()
    assert len(text) < 50_000
    assert "@" not in text.replace('"$@"', "").replace("[@]", "")
    assert all(f"      {command}) " in text for command in COMMANDS)
    assert "configs/scale/quick.yaml" in text
    assert str(REPOSITORY) not in text


@pytest.mark.skipif(not shutil.which("zsh"), reason="needs zsh")
def test_zsh_reads_its_script(scripts: dict[str, Path]) -> None:
    program = f"autoload -U compinit; compinit -u -D; source {scripts['zsh']}; print $_comps[scconv-lab]"
    finished = subprocess.run(["zsh", "-f", "-c", program], capture_output=True, text=True, timeout=60)
    assert (finished.stdout, finished.stderr) == ("_scconv_lab\n", "")


@pytest.mark.parametrize("arguments", [[], ["fish"], ["bash", "zsh"]])
def test_a_mistake_gets_one_message(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("scconv-lab: error: completion: ")
    assert error.endswith("name a shell, bash or zsh\n")
