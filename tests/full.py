"""Which parameters of a test wait for `--full`."""

from collections.abc import Sequence
from typing import Any

import pytest


def others_in_full(values: Sequence[Any], *always: Any) -> list[Any]:
    """All values of a parameter, of which only those of ``always`` are run without `--full`."""
    assert set(always) <= set(values)
    return [value if value in always else pytest.param(value, marks=pytest.mark.full) for value in values]
