"""The words of `scconv-lab init`."""

import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scconv_lab import shipped
from scconv_lab.errors import UserError
from scconv_lab.terminal.command_parser import CommandParser

_NEXT = "scconv-lab fit --config experiments/ablation_sru.yaml --config configs/scale/quick.yaml"
_EPILOG = """\
Files of the package are found without a copy too: a name such as experiments/ablation_sru.yaml that is not in the
working folder is that of the package. A copy is for editing, and wins where it lies.

example:
  scconv-lab init my-lab
"""


def run(arguments: Sequence[str]) -> int:
    """Run the command; see `scconv_lab.cli.main` for the exit codes."""
    parser = CommandParser(
        "init",
        way_out="give a folder, such as `scconv-lab init my-lab`, or . for this one",
        description="Copy configs/ and experiments/ to a folder, to be edited. Nothing is overwritten.",
        epilog=_EPILOG,
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="made where it is not there; . is this one")
    folder = parser.parse_args(arguments).folder
    copied = copy_to(folder)
    print(f"copied   {', '.join(f'{folder / name}' for name in shipped.FOLDERS)}: {copied} files")
    go = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    print(f"next     {go}{_NEXT}")
    return 0


def copy_to(folder: Path) -> int:
    """Copy `scconv_lab.shipped.FOLDERS` into a folder, all or nothing, and return the number of files.

    Raises:
        UserError: (a ValueError) if one of them is there already, or the folder cannot be written to.
    """
    for name in shipped.FOLDERS:
        if (folder / name).exists() or (folder / name).is_symlink():
            raise UserError(
                f"{folder / name} is there already, and nothing was copied; choose another folder, or move it away"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".scconv-lab-init.", dir=folder) as temporary:
            for name in shipped.FOLDERS:
                shutil.copytree(
                    shipped.root() / name,
                    Path(temporary) / name,
                    ignore=_not_to_be_edited,
                    copy_function=shutil.copyfile,  # a package may be read-only
                )
            copied = sum(path.is_file() for path in Path(temporary).rglob("*"))
            for name in shipped.FOLDERS:
                (Path(temporary) / name).rename(folder / name)
    except (OSError, shutil.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"init: {folder} cannot be written to ({reason}); choose another folder") from error
    return copied


def _not_to_be_edited(folder: str, names: list[str]) -> list[str]:
    """What lies in a repository without being part of it, and the ledger of published results."""
    ledger = ["results"] if Path(folder).name == "experiments" else []
    return [name for name in names if name.startswith((".", "__pycache__")) or name in ledger]
