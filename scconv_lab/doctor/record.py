"""Check of the W&B record: is there a key, and does its server answer?"""

import os
import threading
import urllib.error
import urllib.request

from scconv_lab.doctor.check import Check

_PATIENCE_S = 5.0
"""Seconds that the server may take to answer, its name's look-up included."""


def wandb() -> Check:
    """Whether a run would be recorded online. The server is asked only where there is a key, and not for long."""
    from scconv_lab.training.tracking import credentials, server

    mode = os.environ.get("WANDB_MODE", "online")
    later = "nothing, if `uv run wandb sync` may upload the runs later"
    if mode != "online":
        return Check("W&B", "ok", f"WANDB_MODE is {mode}")
    if not credentials():
        return Check("W&B", "warn", "no API key; runs are recorded offline", f"`uv run wandb login`; or {later}")
    if not _answers(server()):
        found = f"{server()} does not answer within {_PATIENCE_S:.0f} seconds; runs are recorded offline"
        return Check("W&B", "warn", found, f"look at the network or WANDB_BASE_URL; or {later}")
    return Check("W&B", "ok", f"an API key, and {server()} answers")


def _answers(url: str) -> bool:
    """Whether a server answers at all, with whatever; asked by a thread, as nothing else ends a name's look-up."""
    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(url, timeout=_PATIENCE_S).close()
        except urllib.error.HTTPError:
            answered.set()
        except (OSError, ValueError):
            return
        else:
            answered.set()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PATIENCE_S)
    return answered.is_set()
