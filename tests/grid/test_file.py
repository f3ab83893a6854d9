"""A sweep's file is read as it says, and what it cannot say is refused by one line with the key."""

from pathlib import Path
from typing import Any

import pytest

from scconv_lab.errors import UserError
from scconv_lab.grid.file import EarlyStop, read_sweep
from tests.grid.files import GOOD, read, refusal


def test_files_are_named_relative_to_the_sweeps(tmp_path: Path) -> None:
    grid = {"arm": {"one": {"config": "../../unit/sru.yaml"}, "two": {"config": ["a.yaml", "../b.yaml"], "k": 1}}}
    sweep = read(tmp_path, GOOD | {"grid": grid})
    assert sweep.experiment == tmp_path / "baseline.yaml"
    assert sweep.axes["arm"]["one"] == {"config": [tmp_path.parent / "unit/sru.yaml"]}
    assert sweep.axes["arm"]["two"] == {"config": [tmp_path / "sweeps/a.yaml", tmp_path / "b.yaml"], "k": 1}


def test_a_list_is_labelled_by_its_keys_last_word(tmp_path: Path) -> None:
    sweep = read(tmp_path, GOOD | {"grid": {"surgery.unit.alpha": [0.25, 0.5], "lr_scheduler.milestones": [[1, 2]]}})
    assert {axis: [*settings] for axis, settings in sweep.axes.items()} == {
        "surgery.unit.alpha": ["alpha=0.25", "alpha=0.5"],
        "lr_scheduler.milestones": ["milestones=[1, 2]"],
    }
    assert sweep.axes["surgery.unit.alpha"]["alpha=0.5"] == {"config": [], "surgery.unit.alpha": 0.5}


def test_files_can_be_the_values_of_an_axis(tmp_path: Path) -> None:
    axis = read(tmp_path, GOOD | {"grid": {"config": ["sru.yaml", "cru.yaml"]}}).axes["config"]
    assert axis == {f"config={name}": {"config": [tmp_path / "sweeps" / name]} for name in ("sru.yaml", "cru.yaml")}


def test_all_keys_together(tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "exclude": [{"surgery.unit.alpha": 0.25}],
        "include": {"plain": {}, "large": {"net.depth": 101}},
        "resources": {"gpus": 2, "minutes": 600},
        "rules": [{"when": {"arm": "large"}, "resources": {"gpus": 4}, "keys": {"trainer.max_epochs": 3}}],
        "slurm": {"partition": "gpu"},
        "early_stop": {"reference": "plain", "after": 50},
    }
    sweep = read(tmp_path, GOOD | more)
    assert (sweep.name, sweep.seeds, sweep.exclude) == ("x", (0, 1), ({"surgery.unit.alpha": 0.25},))
    assert sweep.include == {"plain": {"config": []}, "large": {"config": [], "net.depth": 101}}
    assert (sweep.resources, sweep.slurm) == ({"gpus": 2, "minutes": 600}, {"partition": "gpu"})
    assert sweep.early_stop == EarlyStop("plain", 50)
    (rule,) = sweep.rules
    assert (rule.when, rule.resources) == ({"arm": "large"}, {"gpus": 4})
    assert rule.keys == {"config": [], "trainer.max_epochs": 3}


def test_what_is_left_out_is_empty(tmp_path: Path) -> None:
    sweep = read(tmp_path, GOOD | {"include": None, "rules": None, "exclude": None, "slurm": None, "resources": None})
    assert (sweep.include, sweep.rules, sweep.exclude, sweep.slurm, sweep.resources) == ({}, (), (), {}, {})
    assert sweep.early_stop is None


@pytest.mark.parametrize("key", GOOD)
@pytest.mark.parametrize("empty", [False, True])
def test_a_missing_key_is_named_with_what_it_is_for(tmp_path: Path, key: str, empty: bool) -> None:
    content = GOOD | {key: None} if empty else {name: value for name, value in GOOD.items() if name != key}
    message = refusal(tmp_path, content)
    assert f"`{key}` is missing; " in message
    assert "such as `" in message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"seed": [0]}, "a sweep has no key 'seed'; did you mean 'seeds'?"),
        ({"axes": {}}, "a sweep has no key 'axes'"),
        ({3: {}}, "a sweep has no key 3"),
        ({"resources": {"gpu": 1}}, "`resources` has no 'gpu'; did you mean 'gpus'?"),
        ({"rules": [{"if": {}}]}, "a rule has no 'if'; choose when, resources or keys"),
        ({"rules": [{"when": {}, "resources": {"gpu": 1}}]}, "`rules.resources` has no 'gpu'"),
    ],
)
def test_an_unknown_key_is_named(tmp_path: Path, more: dict[Any, Any], message: str) -> None:
    assert message in refusal(tmp_path, GOOD | more)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"name": 3}, "`name` (=3) must be a text"),
        ({"name": "a b"}, "`name` (='a b') must be of letters, digits, - and _"),
        ({"name": "../x"}, "`name` (='../x') must be of letters"),
        ({"name": "größe"}, "`name` (='größe') must be of letters"),
        ({"name": ""}, "`name` (='') must be of letters"),
        ({"experiment": ["a.yaml"]}, "`experiment` (=['a.yaml']) must be a text"),
        ({"grid": [1]}, "`grid` (=[1]) must be a mapping"),
        ({"grid": {"alpha": 0.5}}, "`grid.alpha` (=0.5) must be a list of the key's values, or settings by name"),
        ({"grid": {3: [1]}}, "`grid.3` (=3) must be a text"),
        ({"grid": {True: [1]}}, "`grid.True` (=True) must be a text"),
        ({"grid": {"arm": {"a": 3}}}, "`grid.arm.a` (=3) must be a mapping"),
        ({"grid": {"arm": {"a": {"config": 3}}}}, "`grid.arm.a.config[0]` (=3) must be a text"),
        ({"grid": {"arm": {"a": {"config": {"b": 1}}}}}, "`grid.arm.a.config[0]` (={'b': 1}) must be a text"),
        ({"grid": {"config": [3]}}, "`grid.config.config[0]` (=3) must be a text"),
        ({"seeds": 3}, "`seeds` (=3) must be a list"),
        ({"seeds": ["0"]}, "`seeds[0]` (='0') must be a whole number"),
        ({"seeds": [0, True]}, "`seeds[1]` (=True) must be a whole number"),
        ({"seeds": [0.5]}, "`seeds[0]` (=0.5) must be a whole number"),
        ({"exclude": {"arm": "a"}}, "`exclude` (={'arm': 'a'}) must be a list"),
        ({"exclude": ["a"]}, "`exclude[0]` (='a') must be a mapping"),
        ({"include": ["a"]}, "`include` (=['a']) must be a mapping"),
        ({"include": {"a": [1]}}, "`include.a` (=[1]) must be a mapping"),
        ({"resources": 3}, "`resources` (=3) must be a mapping"),
        ({"resources": {"gpus": "all"}}, "`resources.gpus` (='all') must be a whole number"),
        ({"resources": {"gpus": 0}}, "`resources.gpus` (=0) must be at least 1"),
        ({"resources": {"runs_per_gpu": -1}}, "`resources.runs_per_gpu` (=-1) must be at least 1"),
        ({"resources": {"minutes": 1.5}}, "`resources.minutes` (=1.5) must be a whole number"),
        ({"rules": {}}, "`rules` (={}) must be a list"),
        ({"rules": [3]}, "`rules[0]` (=3) must be a mapping"),
        ({"rules": [{}]}, "`rules.when` (=None) must be a mapping"),
        ({"rules": [{"when": {}, "keys": [1]}]}, "`rules.keys` (=[1]) must be a mapping"),
        ({"rules": [{"when": {}, "resources": {"gpus": 0}}]}, "`rules.resources.gpus` (=0) must be at least 1"),
        ({"slurm": "gpu"}, "`slurm` (='gpu') must be a mapping"),
        ({"early_stop": 50}, "`early_stop` (=50) must be a mapping"),
        ({"early_stop": {"after": 5}}, "`early_stop` (={'after': 5}) must be {reference: ARM, after: EPOCH}"),
        ({"early_stop": {"reference": "a", "after": 0}}, "`early_stop.after` (=0) must be at least 1"),
        ({"early_stop": {"reference": 1, "after": 5}}, "`early_stop.reference` (=1) must be a text"),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_a_value_of_another_type_is_refused(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    assert message in refusal(tmp_path, GOOD | more)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"grid": {}}, "`grid` is empty, so there is nothing to run; it holds what is compared, such as"),
        ({"grid": {"a": []}}, "`grid.a` is empty, so there is nothing to run; give it values"),
        ({"grid": {"a": {}}}, "`grid.a` is empty, so there is nothing to run; give it values"),
        ({"grid": {"a": [1], "b": []}}, "`grid.b` is empty, so there is nothing to run"),
        ({"seeds": []}, "`seeds` (=[]) must be numbers, at least one and none twice"),
        ({"seeds": [0, 1, 0]}, "`seeds` (=[0, 1, 0]) must be numbers, at least one and none twice"),
        ({"grid": {"a": [0.5, 0.25, 0.5]}}, "`grid.a` (=[0.5, 0.25, 0.5]) has a value twice; remove one"),
    ],
)
def test_nothing_to_run_and_the_same_twice_are_refused(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    assert message in refusal(tmp_path, GOOD | more)


@pytest.mark.parametrize("key", ["seed_everything", "experiment"])
@pytest.mark.parametrize("place", ["grid.arm.a", "include.b", "rules.keys", "grid.KEY"])
def test_the_sweeps_own_keys_are_refused_everywhere(tmp_path: Path, place: str, key: str) -> None:
    more = {
        "grid.arm.a": {"grid": {"arm": {"a": {key: 1}}}},
        "include.b": {"include": {"b": {key: 1}}},
        "rules.keys": {"rules": [{"when": {}, "keys": {key: 1}}]},
        "grid.KEY": {"grid": {key: [1, 2]}},
    }[place]
    instead = "`seeds`" if key == "seed_everything" else "`experiment` at the top"
    message = refusal(tmp_path, GOOD | more)
    assert f"`{place.replace('KEY', key)}.{key}` is the sweep's own; give it by {instead}" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "must hold a mapping"),
        ("a: [", "is not valid YAML"),
        ("", "`name` is missing"),
    ],
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, text)


def test_a_file_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    read(tmp_path, GOOD)
    with pytest.raises(UserError) as refused:
        read_sweep(tmp_path / "sweeps/y.yaml")
    assert "y.yaml, which is not there; did you mean" in str(refused.value)
