"""What a check finds."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        name: What was looked at.
        state: "ok"; "warn", a run starts and something may be less than wanted; "fail", a run would stop or be lost;
            "skip", there is nothing to look at.
        found: What is there.
        todo: The way out, where something is wrong.
    """

    name: str
    state: Literal["ok", "warn", "fail", "skip"]
    found: str
    todo: str = ""
