"""The ledger of published results: a shard for each seed, and an entry for each question, each with a hash of its own.

A shard holds every arm's run of one seed, so that runs that were made on several machines and days join. It is written
once and never changed. An entry, ID.json, holds the design, the hashes of its shards, and the verdicts at each look.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scconv_lab.errors import UserError
from scconv_lab.results.compare import Comparison, Question, compare
from scconv_lab.results.measured import Measured
from scconv_lab.results.rows import arm_rows, contrast_rows
from scconv_lab.run_folder.files import write_whole
from scconv_lab.run_folder.layout import RunFolder
from scconv_lab.verdicts.design import Design
from scconv_lab.verdicts.metrics import METRICS

LEDGER = Path("experiments/results")
"""Folder of the entries; their shards are in its folder shards/."""
_SCHEMA = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def publish(name: str, question: Question, runs: Sequence[Measured], *, ledger: Path = LEDGER) -> list[str]:
    """Write the shards that are new, and the entry once a planned look is complete.

    Args:
        name: Of the entry, such as "table1_fashion_mnist".
        question: Of a sweep's file, as that has it.
        runs: Those that are here; others may be in shards already.
        ledger: The folder.

    Returns:
        What was written, for a person.

    Raises:
        UserError: (a ValueError) if something was made by uncommitted code, differs from what is published, or was
            not planned.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"--publish {name!r} must be of small letters, digits, - and _, the first a letter or digit")
    if question.file is None or question.exploratory or not question.design.looks or question.design.margin is None:
        why = question.exploratory or "the sweep's file has no margin"
        raise UserError(f"--publish {name} is for what was planned: {why}")
    said = []
    blocks = {seed: _block(question, runs, seed) for seed in _seeds(question)}
    for seed, block in blocks.items():
        file = shard_file(ledger, name, seed)
        if block is None:
            continue
        _require_committed(name, block)
        about = {"schema": _SCHEMA, "id": name, "seed": seed, "sweep": question.name}
        content = {**about, "runs": [_record(run) for run in block]}
        if file.exists():
            _require_same(file, content)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, sealed(content))
        said.append(f"shard    {file}")
    shards = {seed: file for seed in blocks if (file := shard_file(ledger, name, seed)).exists()}
    comparison = compare(question, runs_of([read(file) for file in shards.values()]))
    look = max((judged.look for judged in comparison.contrasts if judged.look is not None), default=None)
    complete = all(judged.look == look for judged in comparison.contrasts)
    if look is None or not complete:
        missing = [seed for seed in blocks if seed not in shards]
        numbers = ", ".join(map(str, missing)) or "of some arms"
        said.append(f"no entry yet: seeds {numbers} are missing, and a look is made when all of it are there")
        return said
    entry = ledger / f"{name}.json"
    text = sealed(_entry(name, question, comparison, look, shards, entry))
    if not entry.exists() or entry.read_text(encoding="utf-8") != text:
        write_whole(entry, text)
        said.append(f"entry    {entry}, look {look + 1} of {len(question.design.looks)}")
    return said or [f"nothing new: {entry} has it all"]


def read(file: Path) -> dict[str, Any]:
    """Read a shard or an entry.

    Raises:
        UserError: (a ValueError) if it is not there, damaged, or altered since it was written.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        noted = content.pop("hash")
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise UserError(f"{file} is no file of the ledger ({why}); restore it from git") from error
    if hash_of(content) != noted:
        raise UserError(f"{file} was altered: its hash is not that of its content; restore it from git")
    schema = content.get("schema")
    if not isinstance(schema, int) or schema > _SCHEMA:
        raise UserError(f"{file} has schema {schema!r}, and this version reads up to {_SCHEMA}; update the lab")
    return content


def of_entry(file: Path) -> tuple[Question, list[Measured], dict[str, Any]]:
    """Read an entry and all of its shards.

    Returns:
        The question as it was published, the runs, and the entry's content.

    Raises:
        UserError: (a ValueError) as of `read`, or if a shard is not that of the entry.
    """
    content = read(file)
    shards = []
    for shard in content["shards"]:
        path = shard_file(file.parent, content["id"], shard["seed"])
        found = read(path)
        if hash_of(found) != shard["hash"] or found["id"] != content["id"]:
            raise UserError(f"{path} is not the shard that {file} was made of; restore it from git")
        shards.append(found)
    return _question(content), runs_of(shards), content


def runs_of(shards: Sequence[Mapping[str, Any]]) -> list[Measured]:
    """The runs of some shards."""
    return [
        Measured(Path(run["run"]), run["arm"], run["seed"], run["state"], run["results"], run["note"])
        for shard in shards
        for run in shard["runs"]
    ]


def sealed(content: Mapping[str, Any]) -> str:
    """The text of a file of the ledger: canonical JSON with the hash of its content."""
    return f"{json.dumps({**content, 'hash': hash_of(content)}, indent=1, sort_keys=True)}\n"


def hash_of(content: Mapping[str, Any]) -> str:
    """The SHA-256 of a content as canonical JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def files_of(folder: RunFolder) -> list[Path]:
    """The files of a run whose hashes a shard holds, of those that are there."""
    return [file for file in (folder.results, folder.per_image, folder.best, folder.last) if file.is_file()]


def sha256(file: Path) -> str:
    """The SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def verdicts(comparison: Comparison) -> dict[str, Any]:
    """What an entry holds of the arms and contrasts; the numbers are exact."""
    return {"arms": arm_rows(comparison), "contrasts": contrast_rows(comparison), "cells": dict(comparison.cells)}


def _seeds(question: Question) -> list[int]:
    return list(dict.fromkeys(seed for seeds in question.planned.values() for seed in seeds))


def _block(question: Question, runs: Sequence[Measured], seed: int) -> list[Measured] | None:
    """Every planned arm's run of a seed; None if one has not come to an end of its own."""
    arms = [arm for arm, seeds in question.planned.items() if seed in seeds]
    found = {run.arm: run for run in runs if run.seed == seed and (run.state == "done" or run.lost)}
    return [found[arm] for arm in arms] if set(arms) <= found.keys() else None


def _record(run: Measured) -> dict[str, Any]:
    folder = RunFolder(run.folder)
    return {
        "run": run.folder.name,
        "arm": run.arm,
        "seed": run.seed,
        "state": run.state,
        "note": run.note,
        "results": dict(run.results),
        "files": {str(file.relative_to(run.folder)): sha256(file) for file in files_of(folder)},
    }


def _require_committed(name: str, block: Sequence[Measured]) -> None:
    for run in block:
        commit = run.results.get("git_commit")
        if run.state == "done" and (not isinstance(commit, str) or commit.endswith("-dirty")):
            what = f"commit {commit}" if commit else "no commit at all"
            raise UserError(
                f"--publish {name}: {run.arm}, seed {run.seed} was made by {what}; commit first, and run it again with "
                "`scconv-lab sweep FILE --redo-changed`"
            )


def _require_same(file: Path, content: Mapping[str, Any]) -> None:
    """A run that is made again keeps its values; how long it took does not count."""
    known = read(file)
    arms = [[run["arm"] for run in shard["runs"]] for shard in (known, content)]
    if arms[0] != arms[1]:
        raise UserError(
            f"{file} is published with the arms {', '.join(arms[0])}, and the sweep has {', '.join(arms[1])}; publish "
            "these runs under another name"
        )
    for ours, theirs in zip(content["runs"], known["runs"], strict=True):
        for checkpoint in ("last", "best"):
            if ours["results"].get(checkpoint) != theirs["results"].get(checkpoint):
                raise UserError(
                    f"{file}: {theirs['arm']}, seed {theirs['seed']} is published with other values than "
                    f"{ours['run']} has; what is published is not changed, so publish these runs under another name"
                )


def _entry(
    name: str, question: Question, comparison: Comparison, look: int, shards: Mapping[int, Path], file: Path
) -> dict[str, Any]:
    hashes = [{"seed": seed, "hash": hash_of(read(path))} for seed, path in shards.items()]
    design = question.design
    taken = {"look": look, "seeds": design.looks[look], **verdicts(comparison)}
    looks = [] if not file.exists() else read(file)["looks"]
    for earlier in looks:
        if earlier["look"] == look and hash_of(earlier) != hash_of(taken):
            raise UserError(f"{file}: look {look + 1} is published with other verdicts; nothing is changed")
    looks = [earlier for earlier in looks if earlier["look"] != look] + [taken]
    assert question.file is not None
    text = question.file.read_text(encoding="utf-8")
    asked = re.search(r"^# Question +(.*(?:\n#   .*)*)", text, re.MULTILINE)
    return {
        "schema": _SCHEMA,
        "id": name,
        "question": " ".join(asked[1].replace("\n#", " ").split()) if asked else "",
        "sweep": {
            "name": question.name,
            "file": question.file.name,
            "sha256": sha256(question.file),
            "launch": question.launch,
        },
        "design": {
            "against": [list(pair) for pair in design.against.items()],
            "pairs": [list(pair) for pair in design.pairs],
            "metric": design.metric.name,
            "margin": design.margin,
            "checkpoint": design.checkpoint,
            "paired": design.paired,
            "looks": list(design.looks),
            "scope": design.scope,
            "intersect": design.intersect,
        },
        "labels": [[arm, dict(labels)] for arm, labels in question.arms.items()],
        "planned": {arm: list(seeds) for arm, seeds in question.planned.items()},
        "published": {"source": question.source, "values": dict(question.published)},
        "shards": hashes,
        "looks": sorted(looks, key=lambda taken: taken["look"]),
    }


def _question(content: Mapping[str, Any]) -> Question:
    design = content["design"]
    return Question(
        name=content["id"],
        arms=dict(content["labels"]),
        design=replace(
            Design(),
            against=dict(design["against"]),
            pairs=tuple((arm, other) for arm, other in design["pairs"]),
            metric=METRICS[design["metric"]],
            margin=design["margin"],
            checkpoint=design["checkpoint"],
            paired=design["paired"],
            looks=tuple(design["looks"]),
            scope=design["scope"],
            intersect=design["intersect"],
        ),
        planned=content["planned"],
        published=content["published"]["values"],
        source=content["published"]["source"],
        file=Path(content["sweep"]["file"]),
        launch=content["sweep"]["launch"],
    )


def shard_file(ledger: Path, name: str, seed: int) -> Path:
    """Where the shard of a seed lies."""
    return ledger / "shards" / f"{name}-s{seed}.json"
