"""Rows of metrics that a run has logged, kept next to W&B's own files so that a later process can log them again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scconv_lab.run_folder.files import read_lines, write_whole

Row = tuple[dict[str, Any], int | None]
"""(metrics by name, trainer step)."""


class History:
    """A file of JSON lines: first the W&B run's id, then each row as it was logged.

    Args:
        path: The file; it need not be there, and damaged lines of it are left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = read_lines(path)
        self.id: str | None = next((line["id"] for line in lines if isinstance(line.get("id"), str)), None)
        self._rows: list[Row] = [(line["metrics"], line["step"]) for line in lines if _is_row(line)]

    def restart(self, run_id: str, before: int | None) -> list[Row]:
        """Begin the file anew with the rows of the steps below ``before`` (None: with none), and return those."""
        kept = [row for row in self._rows if before is not None and (row[1] is None or row[1] < before)]
        lines = [json.dumps({"id": run_id}), *(_line(*row) for row in kept)]
        write_whole(self.path, "".join(f"{line}\n" for line in lines))
        return kept

    def add(self, metrics: Mapping[str, Any], step: int | None) -> None:
        """Append a row; what is no number or text is left out."""
        plain = {key: value for key, value in metrics.items() if isinstance(value, int | float | str)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{_line(plain, step)}\n")


def _is_row(line: dict[str, Any]) -> bool:
    return isinstance(line.get("metrics"), dict) and isinstance(line.get("step", ""), int | None)


def _line(metrics: dict[str, Any], step: int | None) -> str:
    return json.dumps({"step": step, "metrics": metrics})
