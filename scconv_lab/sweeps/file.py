"""Reads a sweep's file: which arms there are, how often each is run, and what a run needs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scconv_lab.config import read_yaml
from scconv_lab.errors import UserError
from scconv_lab.messages import nearest
from scconv_lab.shipped import locate

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
_NOUNS = {str: "a text", int: "a whole number", list: "a list", dict: "a mapping of keys to values"}


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
    """A sweep as its file has it; `axes` are by name, and their settings by label."""

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


_KEYS = [*SweepFile.__dataclass_fields__.keys() - {"path", "axes"}, "grid"]


def read_sweep(path: Path) -> SweepFile:
    """Read a sweep's file.

    Keys: ``name``; ``experiment``, the file that all runs start from; ``grid``, axes to be combined, each a list of
    values of a dotted key or named settings, ``{label: {key: value}}``; ``seeds``, a list; and as needed ``exclude``, a
    list of conditions; ``include``, named settings outside the grid; ``resources`` (see `Resources`); ``rules``, a list
    of ``{when: condition, resources: ..., keys: ...}``; ``slurm``, options of sbatch; ``early_stop`` (see `EarlyStop`).
    Files are named relative to this one.

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
    reader = _Reader(path)
    name = reader.typed("name", content["name"], str)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        raise UserError(
            f"{path}: `name` (={name!r}) must be of letters, digits, - and _, at most 64, the first a letter or digit: "
            "files and jobs have it"
        )
    return SweepFile(
        path=path,
        name=name,
        experiment=reader.file("experiment", content["experiment"]),
        axes=reader.axes(content["grid"]),
        seeds=reader.seeds(content["seeds"]),
        exclude=tuple(reader.listed("exclude", content.get("exclude"), dict)),
        include=reader.settings("include", content.get("include") or {}),
        resources=reader.resources("resources", content.get("resources") or {}),
        rules=tuple(map(reader.rule, reader.listed("rules", content.get("rules"), dict))),
        slurm=reader.typed("slurm", content.get("slurm") or {}, dict),
        early_stop=reader.early_stop(content.get("early_stop")),
    )


class _Reader:
    """Reads the parts of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def typed(self, key: str, value: Any, kind: type) -> Any:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise UserError(f"{self.path}: `{key}` (={value!r}) must be {_NOUNS[kind]}")
        return value

    def listed(self, key: str, value: Any, kind: type) -> list[Any]:
        items = self.typed(key, value if value is not None else [], list)
        return [self.typed(f"{key}[{index}]", item, kind) for index, item in enumerate(items)]

    def count(self, key: str, value: Any) -> int:
        if self.typed(key, value, int) < 1:
            raise UserError(f"{self.path}: `{key}` (={value}) must be at least 1")
        return value

    def file(self, key: str, value: Any) -> Path:
        return locate(self.typed(key, value, str), named_by=self.path)

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

    def seeds(self, given: Any) -> tuple[int, ...]:
        seeds = self.listed("seeds", given, int)
        if not seeds or len(set(seeds)) < len(seeds):
            raise UserError(f"{self.path}: `seeds` (={given!r}) must be numbers, at least one and none twice")
        return tuple(seeds)

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
