"""The command that a person types, for what launches it."""

import sys
from pathlib import Path

PACKAGE = "scconv_lab"


def own_command() -> list[str]:
    """Return the words that start the lab as this process was: the console script, or ``python -m scconv_lab``.

    The script is the one of this Python, never another environment's that the shell finds; where there is none, as for
    a package that was not installed, it is the module too.
    """
    script = Path(sys.executable).with_name("scconv-lab")
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    by_module = spec is not None and spec.name == f"{PACKAGE}.__main__"
    return [sys.executable, "-m", PACKAGE] if by_module or not script.exists() else [str(script)]
