"""How every command but those of a configuration reads its arguments."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from scconv_lab.errors import UserError
from scconv_lab.messages import nearest


class CommandParser(argparse.ArgumentParser):
    """Reads the arguments of one command; a mistake is a UserError with the way out.

    Args:
        command: Its name.
        description: What it does.
        epilog: The end of its help, such as examples.
        usage: How it is typed, where argparse's own would not say it.
        way_out: The end of every message.
    """

    def __init__(
        self,
        command: str,
        *,
        description: str,
        epilog: str | None = None,
        usage: str | None = None,
        way_out: str | None = None,
    ) -> None:
        self._options: list[str] = []
        super().__init__(
            f"scconv-lab {command}",
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.command = command
        self.way_out = way_out or f"`scconv-lab {command} --help` has examples"

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        """Declare an argument; see argparse."""
        action = super().add_argument(*args, **kwargs)
        self._options += [name for name in action.option_strings if name.startswith("--")]
        return action

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse all arguments.

        Raises:
            UserError: An option is not there, lacks its value, or has one that it cannot have.
        """
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self._refuse(unknown)
        return options

    def error(self, message: str) -> NoReturn:
        """Raise what argparse finds wrong as UserError."""
        raise UserError(f"{self.command}: {message}; {self.way_out}")

    def _refuse(self, unknown: Sequence[str]) -> NoReturn:
        option = unknown[0].partition("=")[0]
        if option.startswith("-") and (offer := nearest(option, self._options)):
            raise UserError(f"{self.command} has no option {option!r}{offer}")
        self.error(f"unrecognized arguments: {' '.join(unknown)}")
