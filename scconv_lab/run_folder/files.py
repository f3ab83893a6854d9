"""Files that are written whole or not at all, and files of JSON lines, of which a kill leaves all but the last."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_temporary(path: Path, content: bytes | memoryview) -> Path:
    """Write and sync ``path``.tmp, to be renamed; OSError names the file, and leaves none."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = error.filename or str(temporary)
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def write_whole(path: Path, content: str | bytes) -> None:
    """Put a text, as UTF-8, or bytes in the place of a file, in one step."""
    os.replace(write_temporary(path, content.encode() if isinstance(content, str) else content), path)


def append_line(path: Path, entry: Mapping[str, Any]) -> None:
    """Append an entry to a file of JSON lines; what a kill or a full disk left of a line stays a line of its own."""
    with path.open("a+", encoding="utf-8", errors="replace") as file:
        file.seek(0)
        cut_short = file.read().rpartition("\n")[2]
        file.write(f"{cut_short and chr(10)}{json.dumps(dict(entry))}\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines, without those that are damaged; empty if there is no file."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found
