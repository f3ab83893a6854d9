"""The command that a person types, for what launches it."""

import shutil
import sys
from pathlib import Path


def console_script() -> str:
    """Path of ``scconv-lab`` beside this Python, or what the shell finds by that name."""
    beside = Path(sys.executable).with_name("scconv-lab")
    return str(beside) if beside.exists() else shutil.which("scconv-lab") or "scconv-lab"
