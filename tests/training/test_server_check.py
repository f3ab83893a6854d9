"""Whether a W&B server is there."""

import io
import ssl
import time
import urllib.request
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
    start = time.monotonic()
    with WandbServer(behaviour) as server:
        assert answers(server.url, within=1.0) is there
        assert answers(f"{server.url}/", within=1.0) is there
    assert time.monotonic() - start < 4


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://nowhere.invalid", "no url", "http://[", ""])
def test_no_server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    assert not answers(url, within=2.0)


def test_an_unknown_certificate_is_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError(ssl.SSLCertVerificationError("unable to get local issuer certificate"))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    assert answers("https://wandb.example", within=1.0)


def test_a_name_that_is_looked_up_for_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: time.sleep(1) or io.BytesIO())
    start = time.monotonic()
    assert not answers("https://wandb.example", within=0.2)
    assert time.monotonic() - start < 0.9
