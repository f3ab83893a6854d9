"""Turns arms and seeds into runs, each with its identity, and builds each net once before any is launched."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from scconv_lab.config import expand_arguments
from scconv_lab.errors import UserError
from scconv_lab.fit.dry import FitParser, build_classifier, build_data
from scconv_lab.grid.expand import Arm
from scconv_lab.run_folder.configuration import identify, identify_by_scheme_1, processes_of
from scconv_lab.run_folder.layout import RUNS, SWEEPS, RunFolder


@dataclass(frozen=True)
class Run:
    """One seed of one arm.

    Args:
        id: Names its folder and its W&B run.
        arm: The arm.
        seed: Its seed.
        config: Its resolved configuration, of plain values.
        settings: The arm's parsed configuration, whose seed is that of the arm's first run.
    """

    id: str
    arm: Arm
    seed: int
    config: dict[str, Any]
    settings: Namespace

    @property
    def root(self) -> Path:
        """Folder of the folders of all runs."""
        return Path(self.config["trainer"]["default_root_dir"])

    @property
    def folder(self) -> Path:
        """Where it leaves everything."""
        return self.root / self.id

    @property
    def files(self) -> RunFolder:
        """The names of what it leaves."""
        return RunFolder(self.folder)

    @property
    def processes(self) -> int | None:
        """How many processes it has on a machine; None where the machine decides."""
        return processes_of(self.config["trainer"])

    @property
    def by_hand(self) -> list[str]:
        """The arguments of ``scconv-lab`` that a person would type for the same run, in a folder of its own."""
        return ["fit", *self.arm.arguments, "--seed_everything", str(self.seed)]


def resolve(chosen: Sequence[tuple[Arm, int]]) -> list[Run]:
    """Parse what is to be run, each arm once.

    Raises:
        UserError: (a ValueError) with the arm, for what a fit would refuse to read, or if two runs are the same.
    """
    parser = FitParser()
    parsed: dict[str, tuple[Namespace, dict[str, Any], dict[str, Any]]] = {}
    runs: dict[str, Run] = {}
    for arm, seed in chosen:
        if arm.name not in parsed:
            try:
                expanded, _ = expand_arguments(arm.arguments)
                settings = parser.parse([*expanded, "--seed_everything", str(seed)])
            except UserError as error:
                raise UserError(f"arm {arm.name!r}: {error}") from error
            for key in ("run_id", "resume", "ckpt_path"):
                if settings[key]:
                    raise UserError(f"arm {arm.name!r}: `{key}` (={settings[key]!r}) is the sweep's own; leave it out")
            config = _for_a_sweep(parser.resolved(settings))
            parsed[arm.name] = settings, config, parser.defaults(config)
        settings, config, defaults = parsed[arm.name]
        config = {**config, "seed_everything": seed}
        run_id = _folder_name(config, defaults)
        if run_id in runs:
            other = runs[run_id]
            raise UserError(
                f"arms {other.arm.name!r} and {arm.name!r} are the same run (seed {seed}): no key that counts differs; "
                "remove one of them"
            )
        runs[run_id] = Run(run_id, arm, seed, config, settings)
    return list(runs.values())


def _folder_name(config: dict[str, Any], defaults: dict[str, Any]) -> str:
    """The run's id, or the one that an earlier version of the lab gave it where only that has a folder."""
    root = Path(config["trainer"]["default_root_dir"])
    run_id, earlier = identify(config, defaults), identify_by_scheme_1(config, defaults)
    return earlier if (root / earlier).exists() and not (root / run_id).exists() else run_id


def _for_a_sweep(config: dict[str, Any]) -> dict[str, Any]:
    trainer = config["trainer"]
    root = Path(trainer["default_root_dir"] or RUNS) / SWEEPS
    return {**config, "trainer": {**trainer, "default_root_dir": str(root), "enable_progress_bar": False}}


def launched(run: Run) -> dict[str, Any]:
    """What the file of a run that is launched holds: the run resumes what is there."""
    return {**run.config, "run_id": run.id, "resume": "auto"}


def require_buildable(runs: Sequence[Run]) -> None:
    """Build the net of each arm on the meta device.

    Raises:
        UserError: (a ValueError) with the arm, if data, net, unit, surgery or optimizer cannot be as asked.
    """
    for run in {run.arm.name: run for run in runs}.values():
        try:
            data = build_data(run.settings)
            build_classifier(run.settings, data, with_values=False).configure_optimizers()
            data.batch_size_per_process(run.processes or 1)
        except UserError as error:
            raise UserError(f"arm {run.arm.name!r}: {error}") from error
