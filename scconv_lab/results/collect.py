"""Finds the runs that a question is about: those of a sweep's file, or of folders."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scconv_lab.errors import UserError
from scconv_lab.grid.expand import contrasts_of, expand
from scconv_lab.grid.file import SweepFile
from scconv_lab.results.compare import Question
from scconv_lab.results.measured import Measured, read_run
from scconv_lab.run_folder.layout import REPLACED, RUNS, SWEEPS, RunFolder
from scconv_lab.run_folder.members import Launch, launches
from scconv_lab.verdicts.design import Design


def of_sweep(
    file: SweepFile, *, root: Path | None = None, configs: Sequence[str] = (), keys: Sequence[str] = ()
) -> tuple[Question, list[Measured], Launch]:
    """Read the runs of a sweep as it was last launched.

    Args:
        file: The sweep's.
        root: Folder of the folders of its runs; None is runs/sweeps.
        configs: Only a launch with these files for all runs; empty with ``keys`` empty too takes the last.
        keys: Only a launch with these keys for all runs.

    Returns:
        The question, a run of each arm and seed of the file, and the launch.

    Raises:
        UserError: It was never launched here, or not so.
    """
    root = root or Path(RUNS) / SWEEPS
    arms = expand(file)
    contrasts_of(file, arms)
    found = launches(root, file.name)
    if not found:
        raise UserError(f"{file.path}: no runs of {file.name!r} in {root}; `scconv-lab sweep {file.path}` makes them")
    wanted = [each for each in found if (each.configs, each.keys) == (tuple(configs), tuple(keys))]
    if (configs or keys) and not wanted:
        raise UserError(f"{file.path}: it was never launched so; it was with {', or with '.join(map(str, found))}")
    launch = wanted[0] if configs or keys else found[0]
    members = {(member.arm, member.seed): member.run for member in launch.runs}
    planned = {arm.name: file.seeds_of(arm.name) for arm in arms}
    runs = [
        read_run(root / members[arm, seed], arm=arm, seed=seed)
        if (arm, seed) in members
        else Measured(root, arm, seed, "new", note="not in the last launch")
        for arm, seeds in planned.items()
        for seed in seeds
    ]
    published = file.published.of([run.results for run in runs]) if file.published else {}
    question = Question(
        name=file.name,
        arms={arm.name: arm.labels for arm in arms},
        design=file.design,
        planned=planned,
        published=published,
        source=file.published.source if file.published and published else "",
        file=file.path,
        launch=str(launch),
    )
    return question, runs, launch


def of_folders(folders: Sequence[Path]) -> tuple[Question, list[Measured]]:
    """Read the runs in some folders, each a run's or one that holds runs' at any depth.

    Raises:
        UserError: A folder is not there, or holds no run; or the runs are of several sweeps.
    """
    found: dict[Path, Measured] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is neither a sweep's file nor a folder; name one of them")
        inside = sorted(
            path.parent
            for name in (RunFolder(folder).results.name, RunFolder(folder).config.name)
            for path in folder.rglob(name)
            if REPLACED not in path.parts and "wandb" not in path.parts
        )
        if not inside:
            raise UserError(f"{folder} holds no run; a run's folder has a {RunFolder(folder).config.name}")
        found |= {path: read_run(path) for path in inside}
    runs = list(found.values())
    sweeps = {str(run.results.get("experiment")) for run in runs if run.results.get("arm")}
    if len(sweeps) > 1:
        where, which = ", ".join(map(str, folders)), ", ".join(sorted(sweeps))
        raise UserError(f"{where} holds runs of several sweeps ({which}); name a sweep's file")
    named = [replace(run, arm=run.arm or run.folder.parent.name) for run in runs]
    named.sort(key=lambda run: (run.arm, run.seed))
    arms = dict.fromkeys(run.arm for run in named)
    planned = {arm: sorted({run.seed for run in named if run.arm == arm}) for arm in arms}
    twice = [run for run in named if sum(r.arm == run.arm and r.seed == run.seed for r in named) > 1]
    if twice:
        first = twice[0]
        others = ", ".join(str(run.folder) for run in twice if (run.arm, run.seed) == (first.arm, first.seed))
        raise UserError(f"arm {first.arm!r} has seed {first.seed} more than once: {others}; name those that are meant")
    question = Question(
        name=", ".join(map(str, folders)),
        arms={arm: {"arm": arm} for arm in arms},
        design=Design(),
        planned=planned,
        exploratory="no sweep's file was given",
    )
    return question, named
