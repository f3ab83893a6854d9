"""How a command can end early other than by a defect of ours."""


class UserError(ValueError):
    """A setting, a file or an argument that cannot be used as given.

    Its message names the key or file, the rule, the value, and the way out. The command line prints the message
    without a traceback and exits with code 2; every other exception is a defect of ours and keeps its traceback.
    From Python it is an ordinary ``ValueError``.
    """


class BusyError(UserError):
    """Another process works on the same run; the command line exits with code 4."""


class DivergedError(ArithmeticError):
    """A loss, gradient or weight that is not finite; the command line exits with code 3."""


class Stopped(BaseException):
    """A signal asked the process to end, and it did so in order; the command line exits with 128 + the signal's number.

    Args:
        signum: The signal's number.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
