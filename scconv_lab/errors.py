"""The one kind of error that is the user's to mend."""


class UserError(ValueError):
    """A setting, a file or an argument that cannot be used as given.

    Its message names the key or file, the rule, the value, and the way out. The command line prints the message
    without a traceback and exits with code 2; every other exception is a defect of ours and keeps its traceback.
    From Python it is an ordinary ``ValueError``.
    """
