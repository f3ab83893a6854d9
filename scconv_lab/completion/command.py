"""The words of `scconv-lab completion`, and the script that it prints."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

from scconv_lab import shipped
from scconv_lab.cli import COMMANDS, main
from scconv_lab.terminal.command_parser import CommandParser

_SHELLS = {"bash": '      {command}) words="{words}" ;;', "zsh": "      {command}) options=({words}) ;;"}
"""How the script of each shell lists the options of a command."""
_FITS = ("fit", "validate", "test", "predict")
_TAKE_KEYS = (*_FITS, "cost", "doctor")
_EPILOG = """\
TAB then completes commands, options, keys such as optimizer.lr, and files, those of the package too.

for all new shells:
  scconv-lab completion bash > ~/.local/share/bash-completion/completions/scconv-lab
  scconv-lab completion zsh > ~/.zfunc/_scconv-lab    (with fpath+=~/.zfunc before compinit in ~/.zshrc)
for this one:
  source <(scconv-lab completion bash)
"""


def run(arguments: Sequence[str]) -> int:
    """Run the command; see `scconv_lab.cli.main` for the exit codes."""
    parser = CommandParser(
        "completion",
        way_out=f"name a shell, {' or '.join(_SHELLS)}",
        description="Print a script by which a shell completes the words of scconv-lab. Printing it takes seconds.",
        epilog=_EPILOG,
    )
    parser.add_argument("shell", choices=[*_SHELLS], help="the shell that is to read it")
    shell = parser.parse_args(arguments).shell
    from scconv_lab.fit.dry import FitParser

    options = {command: _options(command) for command in COMMANDS}
    print(script(shell, options, keys=FitParser(None).keys()), end="")
    return 0


def script(shell: str, options: Mapping[str, Sequence[str]], *, keys: Iterable[str]) -> str:
    """Return the script for a shell.

    jsonargparse writes such scripts too, but with every argument of every class that a trainer takes: 57 MB.

    Args:
        shell: "bash" or "zsh".
        options: Those of each command.
        keys: Of a fit.
    """
    lines = [
        _SHELLS[shell].format(command=command, words=" ".join([*own, *(["$keys"] if command in _TAKE_KEYS else [])]))
        for command, own in options.items()
    ]
    text = Path(__file__).with_name(f"{shell}.sh").read_text(encoding="utf-8")
    for name, words in (
        ("@COMMANDS@", " ".join(options)),
        ("@KEYS@", " ".join(f"--{key}" for key in keys)),
        ("@OPTIONS@", "\n".join(lines)),
        ("@FILES@", " ".join(shipped.names())),
    ):
        text = text.replace(name, words)
    return text


def _options(command: str) -> list[str]:
    """The options that the help of a command lists; those of a fit are its keys."""
    if command in _FITS:
        return ["--config", "--help", "--help-all", "--print_config"]
    said = StringIO()
    with redirect_stdout(said), suppress(SystemExit):
        main([command, "--help"])
    return list(dict.fromkeys(re.findall(r"(?<![\w-])--[a-z][\w-]*", said.getvalue())))
