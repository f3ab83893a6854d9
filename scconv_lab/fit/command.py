"""The commands fit, validate, test and predict, and each way in which they can end."""

import errno
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.utilities.exceptions import MisconfigurationException

from scconv_lab.errors import DONE, Stopped, UserError, by_request, exit_code_of
from scconv_lab.fit.lab_cli import LabCLI
from scconv_lab.fit.open_run import AlreadyFinished, close
from scconv_lab.terminal import quiet
from scconv_lab.training import tracking
from scconv_lab.training.process_group import stay_behind, watch_parent

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM}


def run(arguments: list[str], *, experiment: str | None) -> int:
    """Run one command whose arguments are expanded; see `scconv_lab.cli.main` for the exit codes."""
    watch_parent()
    before = signal.signal(signal.SIGTERM, _stop)  # where no fit is under way; a fit stops between two steps
    quiet.silence()
    code = DONE
    try:
        with _named_mistakes():
            LabCLI(arguments, experiment=experiment)
    except AlreadyFinished as finished:
        print(finished)
    except BaseException as error:
        code = exit_code_of(error)
        raise
    finally:
        tracking.finish(code)
        close()
        signal.signal(signal.SIGTERM, before)
        stay_behind(code)
    return code


@contextmanager
def _named_mistakes() -> Iterator[None]:
    """Raise what Lightning and the operating system say of a user's mistake as UserError."""
    try:
        yield
    except MisconfigurationException as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    except OSError as error:
        if error.errno not in _FULL | _FORBIDDEN:
            raise
        done = "written" if error.errno in _FULL else "opened"
        raise UserError(
            f"{error.filename or 'a file'} cannot be {done} ({error.strerror}): make room, or give another "
            "`trainer.default_root_dir`; the checkpoints that are there still load, and --resume continues from them"
        ) from error
    except SystemExit as stop:  # Lightning's answer to KeyboardInterrupt, and what --help ends with
        if by_request(stop):
            raise KeyboardInterrupt from None
        raise


def _stop(signum: int, frame: Any) -> None:
    raise Stopped(signum)
