"""Whether a W&B server is there."""

import io
import ssl
import urllib.request
from threading import Event
from typing import Any
from urllib.error import URLError

import pytest

from scconv_lab.training.server_check import answers
from tests.training.wandb_server import WandbServer


@pytest.mark.parametrize(
    ("behaviour", "there"), [("answer", True), ("fail", False), ("drop", False), ("silent", False)]
)
def test_a_server(behaviour: Any, there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    within = 0.5 if behaviour == "silent" else 60.0  # it stays silent until it is closed here
    with WandbServer(behaviour) as server:
        assert answers(server.url, within=within) is there
        assert answers(f"{server.url}/", within=within) is there


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://nowhere.invalid", "no url", "http://[", ""])
def test_no_server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    assert not answers(url, within=2.0)


def test_an_unknown_certificate_is_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError(ssl.SSLCertVerificationError("unable to get local issuer certificate"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    assert answers("https://wandb.example", within=60.0)


def test_a_name_that_is_looked_up_for_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = Event()
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: given_up.wait() and io.BytesIO())
    assert not answers("https://wandb.example", within=0.2)
    given_up.set()
