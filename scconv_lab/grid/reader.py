"""Reads values of a sweep's file, strict about their kinds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scconv_lab.errors import UserError
from scconv_lab.shipped import locate

_NOUNS = {str: "a text", int: "a whole number", list: "a list", dict: "a mapping of keys to values"}


class Reader:
    """Reads values of one file, each of its kind, or raises UserError naming file and key.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def typed(self, key: str, value: Any, kind: type) -> Any:
        """A value of a kind; true and false are no numbers."""
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise UserError(f"{self.path}: `{key}` (={value!r}) must be {_NOUNS[kind]}")
        return value

    def listed(self, key: str, value: Any, kind: type) -> list[Any]:
        """A list of values of a kind; null is an empty one."""
        items = self.typed(key, value if value is not None else [], list)
        return [self.typed(f"{key}[{index}]", item, kind) for index, item in enumerate(items)]

    def count(self, key: str, value: Any) -> int:
        """A whole number from 1."""
        if self.typed(key, value, int) < 1:
            raise UserError(f"{self.path}: `{key}` (={value}) must be at least 1")
        return value

    def file(self, key: str, value: Any) -> Path:
        """A file, named relative to this one."""
        return locate(self.typed(key, value, str), named_by=self.path)

    def positive(self, key: str, value: Any) -> float:
        """A number above 0."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise UserError(f"{self.path}: `{key}` (={value!r}) must be a number above 0")
        return float(value)

    def chosen(self, key: str, value: Any, choices: Sequence[str]) -> Any:
        """One of some words."""
        if value not in choices:
            raise UserError(f"{self.path}: `{key}` (={value!r}) must be {' or '.join(choices)}")
        return value
