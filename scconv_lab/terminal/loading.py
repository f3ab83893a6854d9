"""A sign of life while what trains is imported, which takes seconds."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Show a line on a terminal meanwhile; it leaves nothing."""
    shown = sys.stderr.isatty() and os.environ.get("LOCAL_RANK", "0") == "0"
    if shown:
        print("loading torch and Lightning ...", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
