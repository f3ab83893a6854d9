"""Files that are written whole or not at all."""

import os
from pathlib import Path


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


def write_whole(path: Path, text: str) -> None:
    """Put a text in the place of a file, in one step."""
    os.replace(write_temporary(path, text.encode()), path)
