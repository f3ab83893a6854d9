"""The process that a sweep's runs are forked from."""

import multiprocessing

import pytest

from scconv_lab.errors import UserError
from scconv_lab.sweeps import worker


def test_where_nothing_can_be_forked_one_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])  # as on Windows
    with pytest.raises(UserError, match="are forked, which this operating system cannot; use Linux or macOS, or WSL"):
        worker.warm_up()
