"""Expands a sweep's file into its runs: every combination of settings, with every seed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from scconv_lab.config import yaml_text
from scconv_lab.errors import UserError
from scconv_lab.grid.file import Condition, Keys, Resources, SweepFile
from scconv_lab.messages import nearest
from scconv_lab.verdicts.design import Contrast


@dataclass(frozen=True)
class Arm:
    """One setting of a sweep.

    Args:
        name: The labels of its settings.
        labels: The label that it has on each axis.
        arguments: Of ``scconv-lab fit``, without a seed.
        resources: What each of its runs needs.
    """

    name: str
    labels: Mapping[str, str]
    arguments: tuple[str, ...]
    resources: Resources


def expand(sweep: SweepFile, *, configs: Sequence[Path] = (), overrides: Keys | None = None) -> list[Arm]:
    """List a sweep's arms in the order of its file.

    Args:
        sweep: The file.
        configs: Configuration files for all runs. Where keys differ the experiment gives way to these, these to the
            arm's own files and keys, those to the rules' in their order, and all to ``overrides``.
        overrides: Keys for all runs.

    Raises:
        UserError: (a ValueError) if a condition matches no arm, or names an axis or label that is not there.
    """
    points = list(_points(sweep))
    used: set[int] = set()
    kept = []
    for labels, settings in points:
        matching = {index for index, condition in enumerate(sweep.exclude) if _holds(sweep, condition, labels)}
        used |= matching
        if not matching:
            kept.append((labels, settings))
    for index, condition in enumerate(sweep.exclude):
        if index not in used:
            raise UserError(
                f"{sweep.path}: `exclude[{index}]` (={dict(condition)!r}) matches no arm; correct or remove it"
            )
    kept += [({"arm": label}, [keys]) for label, keys in sweep.include.items()]
    if not kept:
        raise UserError(f"{sweep.path}: `exclude` leaves no arm; remove a condition")
    arms = [_arm(sweep, labels, settings, configs, overrides or {}) for labels, settings in kept]
    for index, rule in enumerate(sweep.rules):
        if not any(_holds(sweep, rule.when, labels) for labels, _ in kept):
            raise UserError(
                f"{sweep.path}: `rules[{index}].when` (={dict(rule.when)!r}) matches no arm; correct or remove it"
            )
    names = [arm.name for arm in arms]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{sweep.path}: two arms have the name {name!r}; rename one")
    return arms


def contrasts_of(sweep: SweepFile, arms: Sequence[Arm]) -> list[Contrast]:
    """List what the sweep's design compares.

    Raises:
        UserError: (a ValueError) if it names an axis, a label or an arm that is not there.
    """
    try:
        return sweep.design.contrasts({arm.name: arm.labels for arm in arms})
    except UserError as error:
        raise UserError(f"{sweep.path}: {error}") from error


def select(arms: Sequence[tuple[Arm, int]], conditions: Sequence[str]) -> list[tuple[Arm, int]]:
    """Those (arm, seed) that all conditions hold for.

    Args:
        arms: To select from.
        conditions: Each "arm=PATTERN", "seed=N" or "AXIS=PATTERN", with * and ? as in file names; commas stand for or,
            and the last word of an axis for the axis.

    Raises:
        UserError: (a ValueError) if a condition cannot be read, or nothing is left.
    """
    chosen = list(arms)
    axes = dict.fromkeys(axis for arm, _ in arms for axis in arm.labels)
    known = {**{axis.rpartition(".")[2]: axis for axis in axes}, **{key: key for key in ("arm", "seed", *axes)}}
    for condition in conditions:
        key, equals, patterns = condition.partition("=")
        if not equals or key not in known:
            raise UserError(f"--only {condition} must be KEY=PATTERN{nearest(key, sorted(known))}")
        chosen = [
            (arm, seed)
            for arm, seed in chosen
            if any(_matches(value, patterns) for value in _values(arm, seed, known[key]))
        ]
    if not chosen:
        names = list(dict.fromkeys(arm.name for arm, _ in arms))
        raise UserError(f"--only {' --only '.join(conditions)} matches no run; the arms are {', '.join(names)}")
    return chosen


def _values(arm: Arm, seed: int, key: str) -> list[str]:
    if key == "seed":
        return [str(seed)]
    labels = [label for label in (arm.name if key == "arm" else None, arm.labels.get(key)) if label]
    return [*labels, *(label.partition("=")[2] for label in labels if "=" in label)]


def _matches(value: str, patterns: str) -> bool:
    """A label may hold what patterns are made of: layer[34].*, [100, 150]."""
    return value == patterns or any(fnmatchcase(value, pattern.strip()) for pattern in patterns.split(","))


def _points(sweep: SweepFile) -> Iterator[tuple[dict[str, str], list[Keys]]]:
    for labels in product(*sweep.axes.values()):
        settings = [axis[label] for axis, label in zip(sweep.axes.values(), labels, strict=True)]
        yield dict(zip(sweep.axes, labels, strict=True)), settings


def _holds(sweep: SweepFile, condition: Condition, labels: Mapping[str, str]) -> bool:
    for axis, wanted in condition.items():
        if axis not in sweep.axes and not (axis == "arm" and sweep.include):
            raise UserError(
                f"{sweep.path}: the condition {dict(condition)!r} names no axis{nearest(str(axis), [*sweep.axes])}"
            )
        choices = [str(choice) for choice in (wanted if isinstance(wanted, list) else [wanted])]
        known = [*sweep.axes.get(axis, {}), *(sweep.include if axis == "arm" else {})]
        short = {label.partition("=")[2]: label for label in known if "=" in label}
        for choice in choices:
            if choice not in known and choice not in short:
                raise UserError(f"{sweep.path}: `{axis}` has no {choice!r}{nearest(choice, known)}")
        if labels.get(axis) not in {short.get(choice, choice) for choice in choices}:
            return False
    return True


def _arm(
    sweep: SweepFile, labels: dict[str, str], settings: list[Keys], configs: Sequence[Path], overrides: Keys
) -> Arm:
    rules = [rule for rule in sweep.rules if _holds(sweep, rule.when, labels)]
    settings = [*settings, *(rule.keys for rule in rules)]
    resources = Resources(
        **{key: value for part in (sweep.resources, *(r.resources for r in rules)) for key, value in part.items()}
    )
    files = [sweep.experiment, *configs, *(file for keys in settings for file in keys.get("config", ()))]
    keys: dict[str, Any] = {}
    for part in [*settings, overrides]:
        keys |= {key: value for key, value in part.items() if key != "config"}
    if resources.gpus is not None:
        keys = {"trainer.devices": resources.gpus, "trainer.strategy": "ddp" if resources.gpus > 1 else "auto"} | keys
    name = " ".join(labels.values())
    keys |= {"experiment": sweep.name, "arm": name}
    words = [word for file in files for word in ("--config", str(file))]
    words += [word for key, value in keys.items() for word in (f"--{key}", as_text(value))]
    return Arm(name, labels, tuple(words), resources)


def as_text(value: Any) -> str:
    """A value as a word of the command line, which is read as YAML there."""
    if isinstance(value, str):
        try:
            if yaml_text.load(value) == value:
                return value
        except yaml.YAMLError:
            pass
    return json.dumps(value, default=str)  # YAML has dates
