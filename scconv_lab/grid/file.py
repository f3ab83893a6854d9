"""Reads a sweep's file: which arms there are, how often each is run, and what a run needs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scconv_lab.config import read_yaml
from scconv_lab.errors import UserError
from scconv_lab.grid.design import KEYS as DESIGN_KEYS
from scconv_lab.grid.design import read_design
from scconv_lab.grid.published import Published, read_published
from scconv_lab.grid.reader import Reader
from scconv_lab.messages import nearest
from scconv_lab.verdicts.design import Design

Keys = Mapping[str, Any]
"""LightningCLI's keys, dotted, to values; "config" to files that come before them."""
Condition = Mapping[str, Any]
"""Axes to a label, or to a list of labels of which one has to hold."""

_NEEDED = {
    "name": "it names the sweep in tables and in W&B, such as `name: table1`",
    "experiment": "it is the file that all runs start from, such as `experiment: ../baseline.yaml`",
    "grid": "it holds what is compared, such as `grid: {surgery.unit.alpha: [0.25, 0.5]}`",
    "seeds": "one run of each arm says little of its mean; such as `seeds: [0, 1, 2]`",
}


@dataclass(frozen=True)
class Resources:
    """What a run needs.

    Args:
        gpus: Processes of a run, each on a GPU of its own; None leaves that to `trainer.devices`.
        runs_per_gpu: Runs that share a GPU, where each needs no more than one.
        minutes: The time limit of a SLURM job.
    """

    gpus: int | None = None
    runs_per_gpu: int = 1
    minutes: int | None = None


@dataclass(frozen=True)
class Rule:
    """Resources and keys of the arms for which a condition holds."""

    when: Condition
    resources: dict[str, int]
    keys: Keys


@dataclass(frozen=True)
class EarlyStop:
    """Stops runs that cannot reach the arm `reference` any more, from epoch `after` on."""

    reference: str
    after: int


@dataclass(frozen=True)
class SweepFile:
    """A sweep as its file has it.

    Args:
        axes: Settings by label, by the name of their axis.
        design: What it sets out to show.
        more_seeds: Seeds that some arms have beyond ``seeds``, by the arm's name.
        sd: The standard deviation over seeds that is expected of an arm, in the metric's unit, for plans.
        published: What a paper has for its arms.
    """

    path: Path
    name: str
    experiment: Path
    axes: Mapping[str, Mapping[str, Keys]]
    seeds: tuple[int, ...]
    exclude: tuple[Condition, ...] = ()
    include: Mapping[str, Keys] = field(default_factory=dict)
    resources: dict[str, int] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    slurm: Mapping[str, Any] = field(default_factory=dict)
    early_stop: EarlyStop | None = None
    design: Design = field(default_factory=Design)
    more_seeds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    sd: float | None = None
    published: Published | None = None

    def seeds_of(self, arm: str) -> tuple[int, ...]:
        """The seeds of an arm by its name."""
        return (*self.seeds, *self.more_seeds.get(arm, ()))


_KEYS = sorted({*SweepFile.__dataclass_fields__.keys() - {"path", "axes"}, "grid", *DESIGN_KEYS})


def read_sweep(path: Path) -> SweepFile:
    """Read a sweep's file.

    Keys: ``name``; ``experiment``, the file that all runs start from; ``grid``, axes to be combined, each a list of
    values of a dotted key or named settings, ``{label: {key: value}}``; ``seeds``, a list; and as needed ``exclude``, a
    list of conditions; ``include``, named settings outside the grid; ``resources`` (see `Resources`); ``rules``, a list
    of ``{when: condition, resources: ..., keys: ...}``; ``slurm``, options of sbatch; ``early_stop`` (see `EarlyStop`);
    what it sets out to show, see `scconv_lab.grid.design.read_design`, with ``more_seeds``, seeds that some arms have
    beyond ``seeds``, and ``sd``, the standard deviation over seeds that is expected, for plans; and ``published``, see
    `scconv_lab.grid.published.read_published`. Files are named relative to this one.

    Raises:
        UserError: (a ValueError) naming file and key if one is unknown, missing, or of the wrong type.
    """
    content = read_yaml(path, source="sweep")
    for key in content:
        if key not in _KEYS:
            raise UserError(f"{path}: a sweep has no key {key!r}{nearest(str(key), _KEYS)}")
    for key in ("name", "experiment", "grid", "seeds"):
        if content.get(key) is None:
            raise UserError(f"{path}: `{key}` is missing; {_NEEDED[key]}")
    reader = _SweepReader(path)
    name = reader.typed("name", content["name"], str)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        raise UserError(
            f"{path}: `name` (={name!r}) must be of letters, digits, - and _, at most 64, the first a letter or digit: "
            "files and jobs have it"
        )
    seeds = reader.seeds("seeds", content["seeds"])
    return SweepFile(
        path=path,
        name=name,
        experiment=reader.file("experiment", content["experiment"]),
        axes=reader.axes(content["grid"]),
        seeds=seeds,
        exclude=tuple(reader.listed("exclude", content.get("exclude"), dict)),
        include=reader.settings("include", content.get("include") or {}),
        resources=reader.resources("resources", content.get("resources") or {}),
        rules=tuple(map(reader.rule, reader.listed("rules", content.get("rules"), dict))),
        slurm=reader.typed("slurm", content.get("slurm") or {}, dict),
        early_stop=reader.early_stop(content.get("early_stop")),
        design=read_design(reader, content, len(seeds)),
        more_seeds=reader.more_seeds(content.get("more_seeds") or {}, seeds),
        sd=reader.positive("sd", content["sd"]) if content.get("sd") is not None else None,
        published=read_published(reader, content.get("published")),
    )


class _SweepReader(Reader):
    """Reads the parts of a sweep."""

    def axes(self, grid: Any) -> dict[str, dict[str, Keys]]:
        axes = {}
        for axis, given in self.typed("grid", grid, dict).items():
            self.typed(f"grid.{axis}", axis, str)
            if not isinstance(given, list | dict):
                raise UserError(
                    f"{self.path}: `grid.{axis}` (={given!r}) must be a list of the key's values, or settings by name, "
                    "{name: {key: value}}"
                )
            if isinstance(given, dict):
                axes[axis] = self.settings(f"grid.{axis}", given)
            else:
                axes[axis] = {_label(axis, value): self.keys(f"grid.{axis}", {axis: value}) for value in given}
                if len(axes[axis]) < len(given):
                    raise UserError(f"{self.path}: `grid.{axis}` (={given!r}) has a value twice; remove one")
            if not axes[axis]:
                raise UserError(f"{self.path}: `grid.{axis}` is empty, so there is nothing to run; give it values")
        if not axes:
            raise UserError(f"{self.path}: `grid` is empty, so there is nothing to run; {_NEEDED['grid']}")
        return axes

    def settings(self, key: str, given: Any) -> dict[str, Keys]:
        labelled = self.typed(key, given, dict)
        return {str(label): self.keys(f"{key}.{label}", keys) for label, keys in labelled.items()}

    def keys(self, key: str, given: Any) -> dict[str, Any]:
        keys = dict(self.typed(key, given if given is not None else {}, dict))
        for reserved, instead in (("seed_everything", "`seeds`"), ("experiment", "`experiment` at the top")):
            if reserved in keys:
                raise UserError(f"{self.path}: `{key}.{reserved}` is the sweep's own; give it by {instead}")
        files = keys.pop("config", [])
        files = self.listed(f"{key}.config", files if isinstance(files, list) else [files], str)
        return {"config": [self.file(f"{key}.config", file) for file in files], **keys}

    def seeds(self, key: str, given: Any) -> tuple[int, ...]:
        seeds = self.listed(key, given, int)
        if not seeds or len(set(seeds)) < len(seeds):
            raise UserError(f"{self.path}: `{key}` (={given!r}) must be numbers, at least one and none twice")
        return tuple(seeds)

    def more_seeds(self, given: Any, seeds: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        found = {
            str(arm): self.seeds(f"more_seeds.{arm}", more)
            for arm, more in self.typed("more_seeds", given, dict).items()
        }
        for arm, more in found.items():
            if twice := sorted({*more} & {*seeds}):
                raise UserError(f"{self.path}: `more_seeds.{arm}` (={[*more]}) has {twice[0]}, which `seeds` has too")
        return found

    def resources(self, key: str, given: Any) -> dict[str, int]:
        known = list(Resources.__dataclass_fields__)
        for name, value in self.typed(key, given, dict).items():
            if name not in known:
                raise UserError(f"{self.path}: `{key}` has no {name!r}{nearest(str(name), known)}")
            self.count(f"{key}.{name}", value)
        return given

    def rule(self, given: dict[str, Any]) -> Rule:
        for name in given:
            if name not in ("when", "resources", "keys"):
                raise UserError(f"{self.path}: a rule has no {name!r}; choose when, resources or keys")
        when = self.typed("rules.when", given.get("when"), dict)
        resources = self.resources("rules.resources", given.get("resources") or {})
        return Rule(when, resources, self.keys("rules.keys", given.get("keys")))

    def early_stop(self, given: Any) -> EarlyStop | None:
        if given is None:
            return None
        if set(self.typed("early_stop", given, dict)) != {"reference", "after"}:
            raise UserError(
                f"{self.path}: `early_stop` (={given!r}) must be {{reference: ARM, after: EPOCH}}; without it none is "
                "stopped"
            )
        reference = self.typed("early_stop.reference", given["reference"], str)
        return EarlyStop(reference, self.count("early_stop.after", given["after"]))


def _label(key: str, value: Any) -> str:
    """A value with the last words of its key: "alpha=0.5"."""
    return f"{key.rpartition('.')[2]}={value}"
