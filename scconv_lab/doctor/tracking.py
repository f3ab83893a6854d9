"""Check of the W&B record: is there a key, and does its server answer?"""

import os

from scconv_lab.doctor.check import Check
from scconv_lab.shipped import typed

_PATIENCE_S = 5.0
"""Seconds that the server may take to answer, the look-up of its name included."""


def wandb() -> Check:
    """Whether a run would be recorded online. The server is asked only where there is a key, and not for long."""
    from scconv_lab.training.wandb_client import answers, credentials, server

    mode = os.environ.get("WANDB_MODE", "online")
    later = f"nothing, if `{typed('wandb sync')}` may upload the runs later"
    if mode != "online":
        return Check("W&B", "ok", f"WANDB_MODE is {mode}")
    if not credentials():
        return Check("W&B", "warn", "no API key; runs are recorded offline", f"`{typed('wandb login')}`; or {later}")
    if not answers(server(), within=_PATIENCE_S):
        found = f"{server()} does not answer within {_PATIENCE_S:.0f} seconds; runs are recorded offline"
        return Check("W&B", "warn", found, f"look at the network or WANDB_BASE_URL; or {later}")
    return Check("W&B", "ok", f"an API key, and {server()} answers")
