"""The configuration of a run as plain values, so that its file repeats the run."""

from enum import Enum
from typing import Any

import torch
from jsonargparse import Namespace

_UNWRITABLE = "Unable to serialize instance"
"""What jsonargparse writes in the place of an object that no text stands for."""


def with_words(value: Any) -> Any:
    """A parsed configuration whose devices and choices are words: ``torch.device("cpu")`` is "cpu".

    The arguments of Lightning's callbacks have such defaults, which jsonargparse can read and not write.
    """
    if isinstance(value, Namespace):
        return Namespace(**{key: with_words(item) for key, item in vars(value).items()})
    if isinstance(value, dict):
        return {key: with_words(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(with_words, value))
    if isinstance(value, torch.device):
        return str(value)
    return value.value if isinstance(value, Enum) else value


def without_unwritable(value: Any) -> Any:
    """A dumped configuration without the values that could not be written: defaults, as no text gives such a value."""
    if isinstance(value, dict):
        return {key: without_unwritable(item) for key, item in value.items() if not _is_unwritable(item)}
    if isinstance(value, list):
        return [without_unwritable(item) for item in value if not _is_unwritable(item)]
    return value


def _is_unwritable(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_UNWRITABLE)
