"""A sweep's file of the least content, and what is read of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from scconv_lab.errors import UserError
from scconv_lab.grid.file import SweepFile, read_sweep

GOOD: dict[str, Any] = {
    "name": "x",
    "experiment": "../baseline.yaml",
    "grid": {"surgery.unit.alpha": [0.25, 0.5]},
    "seeds": [0, 1],
}


def read(folder: Path, content: Any) -> SweepFile:
    """What is read of a file of that content, a text or what it stands for."""
    file = folder / "sweeps/x.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return read_sweep(file)


def refusal(folder: Path, content: Any) -> str:
    """The message that a content is refused with, which opens with the file."""
    with pytest.raises(UserError) as refused:
        read(folder, content)
    message = str(refused.value).replace(str(folder), "")
    assert message.count("\n") == 0
    assert message.startswith("/sweeps/x.yaml")
    return message
