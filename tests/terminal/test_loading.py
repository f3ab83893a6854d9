import sys

import pytest

from scconv_lab.terminal.loading import loading


def test_a_terminal_sees_a_line_that_leaves_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with loading():
        assert "loading" in capsys.readouterr().err
    assert capsys.readouterr().err == "\r\x1b[K"


def test_a_pipe_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with loading():
        pass
    assert capsys.readouterr() == ("", "")
