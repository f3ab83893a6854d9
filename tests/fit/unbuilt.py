"""The parser of every command, for tests of what it takes and refuses."""

from contextlib import suppress

from scconv_lab.config import expand_arguments
from scconv_lab.fit.lab_cli import LabCLI


class _DeclaredError(Exception):
    """Every key is declared, and nothing is parsed yet."""


class UnbuiltCLI(LabCLI):
    """Declares the keys of every command once, parses as often as asked, and builds nothing."""

    def __init__(self):
        with suppress(_DeclaredError):
            super().__init__([], experiment=None)

    def parse_arguments(self, parser, args):
        raise _DeclaredError

    def parse(self, *arguments):
        """Give the settings of one command: the words of a command line, from the repository's root."""
        expanded, _ = expand_arguments(arguments)
        super().parse_arguments(self.parser, expanded)
        return self.config[arguments[0]]
