"""Checks a published entry: its verdicts from its values, its runs' files, their checkpoints, and a run made again."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scconv_lab.errors import UserError
from scconv_lab.results.compare import compare
from scconv_lab.results.ledger import of_entry, read, sha256, shard_file, verdicts
from scconv_lab.results.measured import Measured, read_run
from scconv_lab.run_folder.layout import RunFolder

LEVELS = (0, 1, 2, 3)
"""0: hashes, and verdicts from the values. 1: files of the run folders. 2: tests of the checkpoints. 3: one run made
again."""
_CLOSE = 1e-6
"""What a test may differ by on another machine, in the figure's unit."""


def verify(file: Path, level: int, *, root: Path, say: Callable[[str], None]) -> None:
    """Check an entry at a level, and all below it.

    Args:
        file: The entry.
        level: One of `LEVELS`.
        root: Folder of the folders of the runs, for levels from 1.
        say: Is called with what was found to be right.

    Raises:
        UserError: (a ValueError) with what is wrong.
    """
    question, runs, content = of_entry(file)
    found = _plain(verdicts(compare(question, runs)))
    last = content["looks"][-1]
    for part in ("arms", "contrasts", "cells"):
        if found[part] != last[part]:
            raise UserError(f"{file}: its {part} do not follow from its values; restore it from git")
    say(f"level 0  {len(content['shards'])} shards are as they were written; {len(last['contrasts'])} verdicts follow")
    if level >= 1:
        checked = sum(_files_are_those_of(file, shard["seed"], content, root) for shard in content["shards"])
        say(f"level 1  {checked} files of runs are those that were published")
    done = [run for run in runs if run.state == "done"]
    if level >= 2:
        for run in done:
            _same_figures(run, _tested(root / run.folder), "its checkpoints, tested again,")
        say(f"level 2  the checkpoints of {len(done)} runs have the published figures")
    if level >= 3:
        run = done[0]
        _same_figures(run, _trained(root / run.folder), "trained again, it")
        say(f"level 3  {run.arm}, seed {run.seed}, trained again, has the published figures")


def _files_are_those_of(file: Path, seed: int, content: dict[str, Any], root: Path) -> int:
    shard = read(shard_file(file.parent, content["id"], seed))
    checked = 0
    for run in shard["runs"]:
        for name, noted in run["files"].items():
            path = root / run["run"] / name
            if not path.is_file():
                raise UserError(f"{path} is not here, so it cannot be checked; name the runs' folder by --root")
            if sha256(path) != noted:
                raise UserError(f"{path} is not the file that was published: {run['arm']}, seed {run['seed']}")
            checked += 1
    return checked


def _tested(folder: Path) -> Measured:
    """The run, with what its checkpoints come to now; its folder stays as it is."""
    from scconv_lab.fit.fill import figures_of_checkpoints

    run = read_run(folder)
    return Measured(folder, run.arm, run.seed, "done", figures_of_checkpoints(folder))


def _trained(folder: Path) -> Measured:
    """A run of the same configuration, made anew."""
    with tempfile.TemporaryDirectory() as place:
        keys = ["--trainer.default_root_dir", place, "--trainer.logger", "false", "--run_id", "again"]
        command = [sys.executable, "-m", "scconv_lab", "fit", "--config", str(RunFolder(folder).config), *keys]
        finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if finished.returncode:
            raise UserError(f"{folder}: its configuration does not train: {finished.stdout.splitlines()[-1]}")
        return read_run(Path(place) / "again")


def _same_figures(published: Measured, now: Measured, how: str) -> None:
    for checkpoint in ("last", "best"):
        for name in published.results.get(checkpoint, {}):
            theirs, ours = published.raw(name, checkpoint), now.raw(name, checkpoint)
            if theirs is None or ours is None or abs(theirs - ours) > _CLOSE:
                which = f"{published.arm}, seed {published.seed}"
                raise UserError(f"{which}: {how} has {name} {ours} of {checkpoint}.ckpt, and {theirs} is published")


def _plain(value: Any) -> Any:
    """As it comes back from JSON."""
    return json.loads(json.dumps(value))
