"""Whether a W&B server is there, whether there is a key for it, and which settings it takes."""

import io
import ssl
import urllib.request
from pathlib import Path
from threading import Event
from typing import Any
from urllib.error import URLError

import pytest

from scconv_lab.errors import UserError
from scconv_lab.training import wandb_client
from scconv_lab.training.tracking import WandbLogger
from scconv_lab.training.wandb_client import answers, credentials
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


def test_without_a_key_there_are_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not credentials()
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert credentials()
    monkeypatch.setenv("WANDB_API_KEY", "too short")
    assert not credentials()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"project": "a/b#c?"}, r"`trainer\.logger\.project`: Invalid project name"),
        ({"project": "x" * 200}, r"`trainer\.logger\.project`: "),
        ({"id": "a/b"}, r"`trainer\.logger\.id`: Run ID cannot contain"),
        ({"tags": ["a", ""]}, r"`trainer\.logger\.tags`: Tag at index 1 is empty"),
        ({"tags": ["x" * 100]}, r"`trainer\.logger\.tags`: Tag .* is 100 characters"),
    ],
    ids=lambda value: "-".join(value)[:30] if isinstance(value, dict) else "",
)
def test_what_wandb_would_refuse_later_is_refused_at_once(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        WandbLogger(**settings)


@pytest.mark.parametrize("mode", ["Offline", "ofline", "OFF LINE", "no"])
def test_a_mode_that_is_none_is_refused(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    with pytest.raises(UserError, match=rf"WANDB_MODE \(='{mode}'\) is no mode of W&B; "):
        WandbLogger()
    WandbLogger(mode="offline")


@pytest.mark.parametrize("user", ["user:sesame@", "sesame@", ":sesame@"])
def test_an_address_with_a_password_is_refused_without_repeating_it(user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_client, "server", lambda: f"http://{user}127.0.0.1:9")
    with pytest.raises(UserError, match=r"WANDB_BASE_URL \(http://\.\.\.@127\.0\.0\.1\)") as error:
        WandbLogger()
    assert "sesame" not in str(error.value)
