"""Which runs can be compared: those that agree in everything but their arm."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from scconv_lab.results.measured import OF_THE_DATA, Measured

_NAMES = {
    "code": "code of the lab",
    "lock_hash": "uv.lock",
    "torch": "torch",
    "device": "device",
    "precision": "precision",
    "recipe": "recipe",
    "data": "data",
    "test_images": "number of test images",
    "test_labels": "test set",
}


def set_aside_what_differs(runs: Sequence[Measured], *, recipe: bool) -> list[Measured]:
    """Take the state "done" from runs that differ from most others in what they were made by.

    They must agree in code, libraries, device and precision; those of one arm in their data and recipe too.

    Args:
        runs: All runs of a comparison.
        recipe: Whether all must agree in their recipe: they come from no sweep's file, which says how arms differ.

    Returns:
        The runs in their order; one that differs has the state "differs", and a note that says in what.
    """
    every = [run for run in runs if run.state == "done"]
    usual = _most([run.made_by | (_recipe(run) if recipe else {}) for run in every])
    of_arm = {
        arm: _most([_data(run) | _recipe(run) for run in every if run.arm == arm])
        for arm in dict.fromkeys(run.arm for run in every)
    }
    found = []
    for run in runs:
        if run.state != "done":
            found.append(run)
            continue
        made = run.made_by | _data(run) | _recipe(run)
        expected = of_arm[run.arm] | usual
        others = [
            f"{_NAMES[key]} is {_short(value)}, and of most runs {_short(expected[key])}"
            for key, value in made.items()
            if value != expected[key]
        ]
        found.append(replace(run, state="differs", note="; ".join(others)) if others else run)
    return found


def same_test_set(arm: Sequence[Measured], reference: Sequence[Measured]) -> bool:
    """Whether the runs of two arms were tested on the same images."""
    return len({tuple(sorted(_data(run).items())) for run in (*arm, *reference) if run.state == "done"}) <= 1


def _most(made: Sequence[dict[str, str]]) -> dict[str, str]:
    """The value that most runs have of each key; of equally many that of the first run."""
    keys = dict.fromkeys(key for each in made for key in each)
    return {key: Counter(each[key] for each in made if key in each).most_common(1)[0][0] for key in keys}


def _data(run: Measured) -> dict[str, str]:
    return {key: str(run.results[key]) for key in OF_THE_DATA if run.results.get(key) is not None}


def _recipe(run: Measured) -> dict[str, str]:
    recipe = run.results.get("recipe")
    return {"recipe": str(recipe)} if recipe else {}


def _short(value: str) -> str:
    return value[:12] if len(value) >= 40 else value
