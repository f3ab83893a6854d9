"""The command `scconv-lab`: answers at once what needs no training code, and imports it only for the rest."""

import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version

from scconv_lab.config import expand_arguments
from scconv_lab.errors import READER_LEFT, DivergedError, Stopped, UserError, exit_code_of
from scconv_lab.messages import nearest

COMMANDS = {
    "fit": "train one arm, test its best checkpoint once, and log to W&B",
    "validate": "evaluate a checkpoint on the validation split",
    "test": "evaluate a checkpoint on the test set",
    "predict": "write a checkpoint's predictions for the validation split to a CSV file",
    "sweep": "run the arms and seeds of a sweep's file that are not done yet, here or on a SLURM cluster",
    "cost": "count, and where asked measure, what an experiment's net costs; or compare it with the paper's tables",
    "export": "write a checkpoint's net as ONNX, torch.export or safetensors, and check the file",
    "doctor": "look for what a run would stumble over, and say what to do",
    "init": "copy the configurations and experiments of the package to a folder, to be edited",
    "completion": "print a script by which bash or zsh completes commands, keys and files",
}

_LONGEST = 800  # characters of a message, which quotes the value that was given

_HELP = f"""usage: scconv-lab COMMAND [--config FILE ...] [--KEY VALUE ...]

What SRU, CRU and ScConv (SCConv, CVPR 2023) buy, where, and at what cost.

commands:
{"".join(f"  {name:<12}{text}{chr(10)}" for name, text in COMMANDS.items())}
options:
  --config FILE   an experiment or a part of one; several are merged, the last wins
  --KEY VALUE     overrides one key, such as --optimizer.lr 0.1 or --seed_everything 1
  -h, --help      this text; `scconv-lab COMMAND --help` lists every key (it takes seconds)
  --version       the version

example:
  scconv-lab fit --config experiments/ablation_sru.yaml --config configs/scale/quick.yaml
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        Exit code: 0 done; 1 a check of `doctor` or a run of `sweep` fails; 2 something to correct in the arguments,
        files, data or disk; 3 diverged, stopped before the step; 4 another process works on the same run; 128 + n ended
        by signal n, a fit with a checkpoint: 130 SIGINT (Ctrl-C), 143 SIGTERM, 138 SIGUSR1, 141 the reader of the
        output left. A defect of ours raises.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_HELP, end="")
        return 0
    if arguments[0] == "--version":
        print(f"scconv-lab {version('scconv-lab')}")
        return 0
    try:
        if arguments[0] not in COMMANDS:
            raise UserError(f"there is no command {arguments[0]!r}{nearest(arguments[0], list(COMMANDS))}")
        if arguments[0] == "export":
            from scconv_lab.export import run as export

            return export(arguments[1:])
        if arguments[0] == "sweep":
            from scconv_lab.sweeps.command import run as sweep

            return sweep(arguments[1:])
        if arguments[0] == "cost":
            from scconv_lab.cost import run as cost

            return cost(arguments[1:])
        if arguments[0] == "init":
            from scconv_lab.init.command import run as init

            return init(arguments[1:])
        if arguments[0] == "completion":
            from scconv_lab.completion.command import run as completion

            return completion(arguments[1:], commands=COMMANDS, main=main)
        expanded, experiment = expand_arguments(arguments)
        if arguments[0] == "doctor":
            from scconv_lab.doctor import run as doctor

            return doctor(expanded[1:], experiment=experiment)
        from scconv_lab.fit.command import run

        return run(expanded, experiment=experiment)
    except UserError as error:
        # a data loader's worker hands on its error as a traceback that ends in the message
        print(f"scconv-lab: error: {_one_line(str(error).rpartition('UserError: ')[2])}", file=sys.stderr)
        return error.exit_code
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


def _one_line(message: str) -> str:
    """A message as one line that fits a screen; it opens with the key or file and ends with the way out."""
    line = " ".join("".join(c if c.isprintable() else c.isspace() * " " or ascii(c)[1:-1] for c in message).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} [...] {line[-_LONGEST // 4 :]}"


def _say(line: str) -> None:
    """One line for all processes of a run."""
    if os.environ.get("LOCAL_RANK", os.environ.get("SLURM_PROCID", "0")) == "0":
        print(f"scconv-lab: {line}", file=sys.stderr)
