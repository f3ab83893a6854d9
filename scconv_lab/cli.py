"""The command `scconv-lab`: answers at once what needs no training code, and imports it only for the rest."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version

from scconv_lab.errors import DONE, READER_LEFT, DivergedError, Stopped, UserError, exit_code_of
from scconv_lab.messages import nearest

COMMANDS = {
    "fit": ("train one arm, test its best checkpoint once, and log to W&B", "fit.entry:fit"),
    "validate": ("evaluate a checkpoint on the validation split", "fit.entry:validate"),
    "test": ("evaluate a checkpoint on the test set", "fit.entry:test"),
    "predict": (
        "write a checkpoint's predictions for a split, or for a folder of images, to a CSV file",
        "fit.entry:predict",
    ),
    "sweep": (
        "run the arms and seeds of a sweep's file that are not done yet, here or on a SLURM cluster",
        "sweeps.command:run",
    ),
    "results": (
        "say what the finished runs of a sweep show: every run, every arm, a verdict on each contrast",
        "results.command:run",
    ),
    "cost": (
        "count, and where asked measure, what an experiment's net costs; the paper's tables beside it",
        "cost.command:run",
    ),
    "export": (
        "write a checkpoint's net as ONNX, torch.export or safetensors, and check the file",
        "export.command:run",
    ),
    "doctor": ("look for what a run would stumble over, and say what to do", "doctor.command:run"),
    "init": ("copy the configurations and experiments of the package to a folder, to be edited", "init.command:run"),
    "completion": ("print a script by which bash or zsh completes commands, keys and files", "completion.command:run"),
}
"""What each command does, and the function in this package that takes its arguments and gives its exit code."""

_LONGEST = 800  # characters of a message, which quotes the value that was given

_HELP = f"""usage: scconv-lab COMMAND [--config FILE ...] [--KEY VALUE ...]

What SRU, CRU and ScConv (SCConv, CVPR 2023) buy, where, and at what cost.

commands:
{"".join(f"  {name:<12}{text}{chr(10)}" for name, (text, _) in COMMANDS.items())}
options:
  --config FILE   an experiment or a part of one; several are merged, the last wins
  --KEY VALUE     overrides one key, such as --optimizer.lr 0.1 or --seed_everything 1
  -h, --help      this text; `scconv-lab COMMAND --help` is that of a command
  --version       the version

example:
  scconv-lab fit --config experiments/ablation_sru.yaml --config configs/scale/quick.yaml
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        Exit code: 0 done; 1 a check of `doctor` or a run of `sweep` fails; 2 something to mend in the arguments, files,
        data or disk; 3 diverged, stopped before the step; 4 another process works on the same run; 128 + n ended by
        signal n, a fit with a checkpoint: 130 SIGINT (Ctrl-C), 143 SIGTERM, 138 SIGUSR1, 141 the reader of the output
        left. A defect of ours raises.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_HELP, end="")
        return 0
    if arguments[0] == "--version":
        print(f"scconv-lab {version('scconv-lab')}")
        return 0
    try:
        return _command(arguments[0])(arguments[1:])
    except UserError as error:
        # a data loader's worker hands on its error as a traceback that ends in the message
        print(f"scconv-lab: error: {_one_line(str(error).rpartition('UserError: ')[2])}", file=sys.stderr)
        return error.exit_code
    except SystemExit as end:  # after --help, --print_config and the like
        return end.code if isinstance(end.code, int) else DONE
    except BrokenPipeError:  # what reads the output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
        return READER_LEFT
    except DivergedError as error:
        _say(f"diverged: {error}")
        return error.exit_code
    except (Stopped, KeyboardInterrupt) as stop:
        code = exit_code_of(stop)
        _say("interrupted" if code == 128 + signal.SIGINT else f"ended by {signal.Signals(code - 128).name}")
        return code


def _command(name: str) -> Callable[[Sequence[str]], int]:
    """Import what runs a command."""
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}{nearest(name, list(COMMANDS))}")
    module, _, function = COMMANDS[name][1].partition(":")
    return getattr(import_module(f"{__package__}.{module}"), function)


def _one_line(message: str) -> str:
    """A message as one line that fits a screen; it opens with the key or file and ends with the way out."""
    line = " ".join("".join(c if c.isprintable() else c.isspace() * " " or ascii(c)[1:-1] for c in message).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} [...] {line[-_LONGEST // 4 :]}"


def _say(line: str) -> None:
    """One line for all processes of a run."""
    if os.environ.get("LOCAL_RANK", os.environ.get("SLURM_PROCID", "0")) == "0":
        print(f"scconv-lab: {line}", file=sys.stderr)
