"""What has become of a run, read only from its folder, so that every command on every machine sees the same."""

from typing import Literal

from scconv_lab.config import read_yaml
from scconv_lab.errors import UserError
from scconv_lab.run_folder import lock
from scconv_lab.run_folder.attempts import MOST_FAILURES, failures, stopped_early
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.run_folder.results import finished

State = Literal["done", "running", "queued", "failed", "stopped", "interrupted", "damaged", "new"]


def state_of(files: RunFolder) -> State:
    """What a run's folder says of it; that a job is queued is for SLURM to say."""
    if damage(files):
        return "damaged"
    if finished(files.path):
        return "done"
    if lock.holder(files.path):
        return "running"
    if stopped_early(files):
        return "stopped"
    if failures(files) >= MOST_FAILURES:
        return "failed"
    return "interrupted" if files.begun else "new"


def damage(files: RunFolder) -> str:
    """Say which file of a run cannot be read, and what to do; empty if all can."""
    try:
        finished(files.path)
        lock.holder(files.path)
        for file in (files.config, files.launched):
            if file.exists():
                read_yaml(file, source="the run's folder")
    except (UserError, OSError) as error:
        return str(error)
    return ""
