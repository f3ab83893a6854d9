"""The command `scconv-lab`: answers at once what needs no training code, and imports it only for the rest."""

import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from scconv_lab.config import expand_bases, nearest
from scconv_lab.errors import DivergedError, Stopped, UserError

COMMANDS = {
    "fit": "train one arm, test its best checkpoint once, and log to W&B",
    "validate": "evaluate a checkpoint on the validation split",
    "test": "evaluate a checkpoint on the test set",
    "predict": "write a checkpoint's predictions for the validation split to a CSV file",
    "export": "write a checkpoint's net as ONNX, torch.export or safetensors, and check the file",
}

_HELP = f"""usage: scconv-lab COMMAND [--config FILE ...] [--KEY VALUE ...]

What SRU, CRU and ScConv (SCConv, CVPR 2023) buy, where, and at what cost.

commands:
{"".join(f"  {name:<10}{text}{chr(10)}" for name, text in COMMANDS.items())}
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
        Exit code: 0 done; 2 something to mend in the arguments, files, data or disk; 3 diverged, stopped before the
        step; 128 + n ended by signal n with a checkpoint: 130 SIGINT (Ctrl-C), 143 SIGTERM, 138 SIGUSR1. A defect of
        ours raises.
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
        expanded, experiment = expand_arguments(arguments)
        from scconv_lab.launch import run

        return run(expanded, experiment=experiment)
    except UserError as error:
        # a data loader's worker hands on its error as a traceback that ends in the message
        print(f"scconv-lab: error: {str(error).rpartition('UserError: ')[2].strip()}", file=sys.stderr)
        return 2
    except DivergedError as error:
        _say(f"diverged: {error}")
        return 3
    except Stopped as stop:
        _say("interrupted" if stop.signum == signal.SIGINT else f"ended by {signal.Signals(stop.signum).name}")
        return 128 + stop.signum
    except KeyboardInterrupt:
        _say("interrupted")
        return 130


def _say(line: str) -> None:
    """One line for all processes of a run."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"scconv-lab: {line}", file=sys.stderr)


def expand_arguments(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Put the bases of every ``--config`` file before it.

    Returns:
        The arguments, and the name of the first ``--config`` file without its suffix: the experiment.
    """
    expanded: list[str] = []
    experiment: str | None = None
    rest = iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option not in ("--config", "-c"):
            expanded.append(argument)
            continue
        file = value if equals else next(rest, None)
        if not file:
            raise UserError("--config needs a file, such as --config experiments/baseline.yaml")
        experiment = experiment or Path(file).stem
        for path in expand_bases(Path(file)):
            expanded += ["--config", str(path)]
    return expanded, experiment
