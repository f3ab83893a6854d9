"""Runs one of Lightning's commands, and gives each way in which it can end its exit code."""

import errno
import signal
from typing import Any

from lightning.pytorch.utilities.exceptions import MisconfigurationException

from scconv_lab import quiet
from scconv_lab.errors import BusyError, DivergedError, Stopped, UserError
from scconv_lab.fit.lab_cli import LabCLI
from scconv_lab.run_folder import lock
from scconv_lab.training import tracking
from scconv_lab.training.process_group import stay_behind, watch_parent

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_FORBIDDEN = {errno.EACCES, errno.EPERM}


def run(arguments: list[str], *, experiment: str | None) -> int:
    """Run one command whose arguments are expanded; see `scconv_lab.cli.main`."""
    watch_parent()
    before = signal.signal(signal.SIGTERM, _stop)  # where no fit is under way; a fit stops between two steps
    quiet.silence()
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


def _stop(signum: int, frame: Any) -> None:
    raise Stopped(signum)
