"""A run's results.json: where it is, the run is finished."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scconv_lab.errors import UserError
from scconv_lab.run_folder.files import write_whole
from scconv_lab.run_folder.layout import SCHEMA, RunFolder

_MEASURED = ("val/acc1", "test/acc1", "params", "macs", "steps")
"""Numbers of results.json."""


@dataclass(frozen=True)
class Finished:
    """A run that has nothing left to train, and its final measures."""

    folder: Path
    results: dict[str, Any]

    def __str__(self) -> str:
        reached = [f"{key} {value:.4f}" for key, value in self.results.items() if isinstance(value, float)]
        return "  ".join([f"finished {self.folder}", *reached])


def write_results(folder: Path, results: dict[str, Any]) -> None:
    """Mark a run as finished."""
    write_whole(RunFolder(folder).results, f"{json.dumps({'schema': SCHEMA, **results}, indent=2)}\n")


def finished(folder: Path) -> Finished | None:
    """What a run reached; None if it has not finished."""
    results = read_results(RunFolder(folder).results)
    return Finished(folder, results) if results is not None else None


def read_results(file: Path) -> dict[str, Any] | None:
    """Read a results.json; None if there is none.

    Raises:
        UserError: It is damaged, or of a later version of the lab.
    """
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read ({error}); delete it, and the run is finished again") from error
    if not isinstance(results, dict) or not all(isinstance(results.get(key, 0.0), int | float) for key in _MEASURED):
        raise UserError(f"{file} holds no results of a run; delete it, and the run is finished again")
    schema = results.get("schema", 0)
    if not isinstance(schema, int) or schema > SCHEMA:
        raise UserError(
            f"{file} has schema {schema!r}, and this version of the lab reads up to {SCHEMA}; update the lab"
        )
    return results
