"""How a command can end early other than by a defect of ours, and the exit code of each way."""

import signal

DONE, FAILED, MISTAKE, DIVERGED, BUSY = range(5)
"""Exit codes: finished; a defect of ours, or what was checked or launched fails; bad input; a value is not finite;
another process works on the same run. A command that signal n ended has 128 + n."""
ENDED_BY_REQUEST = tuple(128 + number for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGUSR1", 10)))
"""Exit codes of a fit that was asked to end and left a checkpoint."""
READER_LEFT = 141
"""Exit code where what reads the output, such as `head`, has ended: 128 + SIGPIPE."""


class UserError(ValueError):
    """A setting, a file or an argument that cannot be used as given.

    Its message names the key or file, the rule, the value, and the way out. The command line prints the message
    without a traceback; every other exception is a defect of ours and keeps its traceback. From Python it is an
    ordinary ``ValueError``.
    """

    exit_code = MISTAKE


class BusyError(UserError):
    """Another process works on the same run."""

    exit_code = BUSY


class DivergedError(ArithmeticError):
    """A loss, gradient or weight that is not finite."""

    exit_code = DIVERGED


class Stopped(BaseException):
    """A signal asked the process to end, and it did so in order.

    Args:
        signum: The signal's number.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
        self.exit_code = 128 + signum


def by_request(error: BaseException) -> bool:
    """Whether a command ends because it was asked to, by a signal or Ctrl-C."""
    return isinstance(error, Stopped | KeyboardInterrupt) or isinstance(error.__context__, KeyboardInterrupt)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a command that ends by ``error``."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return getattr(error, "exit_code", FAILED)
