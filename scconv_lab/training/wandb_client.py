"""What is known of W&B before a run: its server, the key, the settings, and whether its own process starts."""

import os
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from threading import Event, Thread
from typing import Any, get_args
from urllib.parse import urlsplit

import wandb
from wandb.analytics.opentelemetry import opentelemetry_proxy
from wandb.errors import AuthenticationError
from wandb.sdk.lib import wbauth

from scconv_lab.errors import UserError
from scconv_lab.messages import first_line, nearest


def server() -> str:
    """Address of the W&B server."""
    return wandb.setup().settings.base_url


def credentials() -> bool:
    """Whether W&B has a key, in the environment, a netrc file or its settings. Asks nobody, and no server."""
    try:
        found = wbauth.authenticate_session(host=server(), source="scconv-lab", prompt=False, update_session=False)
    except AuthenticationError:
        return False
    return found is not None


def answers(url: str, *, within: float) -> bool:
    """Whether a W&B server takes requests.

    An answer that refuses counts, for W&B's client says that better; 5xx does not. Nor does a certificate that Python
    knows no authority of speak against a server: W&B's client has authorities of its own.

    Args:
        url: Address of the server.
        within: Seconds that it has, the look-up of its name included, which nothing but a thread of its own can end.
    """
    answered = Event()

    def ask() -> None:
        headers = {"Content-Type": "application/json"}
        try:
            request = urllib.request.Request(f"{url.rstrip('/')}/graphql", b'{"query": "{ __typename }"}', headers)
            urllib.request.urlopen(request, timeout=within).close()
        except urllib.error.HTTPError as error:
            if error.code >= 500:
                return
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ssl.SSLError):
                return
        except (OSError, HTTPException, ValueError):
            return
        answered.set()

    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(within)
    return answered.is_set()


def start_process() -> str:
    """Start W&B's own process; where it cannot start, turn W&B off and return why.

    W&B would report the failure to its makers, and for that wait for a lock that it holds itself, for ever.
    """
    opentelemetry_proxy.disable()
    try:
        wandb.setup()
    except (ValueError, wandb.errors.UsageError):  # of its settings, which are looked at next
        return ""
    except (OSError, RuntimeError, wandb.errors.Error) as error:
        wandb.setup(wandb.Settings(mode="disabled"))
        return f"; W&B's own process does not start ({type(error).__name__}: {first_line(error)})"
    return ""


def mode_from_environment() -> str:
    """W&B's mode by the environment: WANDB_MODE, or "online"."""
    return os.environ.get("WANDB_MODE") or "online"


def require_usable(mode: str, **settings: Any) -> None:
    """Refuse what W&B would refuse once the run has begun, or would write to its files and must not.

    Raises:
        UserError: The name of the key or variable, and what is wrong.
    """
    wanted = mode_from_environment() if mode == "auto" else mode
    modes = get_args(wandb.Settings.model_fields["mode"].annotation)
    if wanted not in modes:
        raise UserError(f"WANDB_MODE (={wanted!r}) is no mode of W&B{nearest(wanted.lower(), modes)}")
    for key, value in settings.items():
        try:
            wandb.Settings(**{key: value} if value is not None else {})
        except (ValueError, wandb.errors.UsageError) as error:
            raise UserError(f"`trainer.logger.{key.removeprefix('run_')}`: {_reason(error)}") from error
    try:
        address = urlsplit(server())
    except (ValueError, wandb.errors.UsageError) as error:
        raise UserError(f"W&B's settings: {_reason(error)}; correct the WANDB_... variable") from error
    if address.password or address.username:
        raise UserError(
            f"WANDB_BASE_URL ({address.scheme}://...@{address.hostname}) holds a user or a password, which W&B would "
            "write to its files: give the address without them, and the key as WANDB_API_KEY"
        )


def _reason(error: Exception) -> str:
    details = getattr(error, "errors", None)  # pydantic's, of which the first says all
    return str(details()[0]["msg"]).removeprefix("Value error, ") if callable(details) else " ".join(str(error).split())
