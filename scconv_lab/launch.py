"""Runs one of Lightning's commands, and gives each way in which it can end its exit code."""

import errno
import logging
import signal
import warnings
from typing import Any

from lightning.pytorch.utilities.exceptions import MisconfigurationException

from scconv_lab.errors import BusyError, DivergedError, Stopped, UserError
from scconv_lab.lab_cli import LabCLI
from scconv_lab.training import lock, tracking
from scconv_lab.training.together import stay_behind, watch_parent

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_FORBIDDEN = {errno.EACCES, errno.EPERM}


def run(arguments: list[str], *, experiment: str | None) -> int:
    """Run one command whose arguments are expanded; see `scconv_lab.cli.main`."""
    watch_parent()
    before = signal.signal(signal.SIGTERM, _stop)  # where no fit is under way; a fit stops between two steps
    quieten()
    code = 1
    try:
        LabCLI(arguments, experiment=experiment)
        code = 0
    except MisconfigurationException as error:
        code = 2
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    except OSError as error:
        if error.errno not in _FULL | _FORBIDDEN:
            raise
        code = 2
        done = "written" if error.errno in _FULL else "opened"
        raise UserError(
            f"{error.filename or 'a file'} cannot be {done} ({error.strerror}): make room, or give another "
            "`trainer.default_root_dir`; the checkpoints that are there still load, and --resume goes on from them"
        ) from error
    except UserError as error:
        code = 4 if isinstance(error, BusyError) else 2
        raise
    except DivergedError:
        code = 3
        raise
    except Stopped as stop:
        code = 128 + stop.signum
        raise
    except SystemExit as stop:  # Lightning's answer to KeyboardInterrupt, and what --help ends with
        if not isinstance(stop.__context__, KeyboardInterrupt):
            raise
        code = 130
        raise KeyboardInterrupt from None
    finally:
        tracking.finish(code)
        lock.release()
        signal.signal(signal.SIGTERM, before)
        stay_behind(code)
    return code


def quieten() -> None:
    """Keep from the terminal what Lightning and torch say without being asked, but for what matters."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # lightning 2.6.6 asks torch 2.15 in the old way
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
    # a fit on the machine from which jobs are submitted is no mistake
    warnings.filterwarnings("ignore", message="The `srun` command is available", category=UserWarning)
    # a checkpoint knows the folder of the run that made it, and an evaluation makes none
    warnings.filterwarnings("ignore", message="The dirpath has changed", category=UserWarning)
    warnings.filterwarnings("ignore", message="Be aware that when using `ckpt_path`, callbacks", category=UserWarning)
    # a run that goes on does so in its own folder
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty", category=UserWarning)


def _stop(signum: int, frame: Any) -> None:
    raise Stopped(signum)
