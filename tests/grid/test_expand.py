"""A sweep's file stands for the arms that it says, with what each of them runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from scconv_lab.config.yaml_text import load
from scconv_lab.errors import UserError
from scconv_lab.grid.expand import Arm, as_text, expand, select
from scconv_lab.grid.file import Resources, read_sweep

HEAD = "name: x\nexperiment: baseline.yaml\nseeds: [0, 1]\n"


def arms_of(folder: Path, text: str, **given: Any) -> dict[str, Arm]:
    """The arms of a file of that text, by name."""
    file = folder / "x.yaml"
    file.write_text(HEAD + text)
    return {arm.name: arm for arm in expand(read_sweep(file), **given)}


def test_a_list_stands_for_one_arm_a_value(tmp_path: Path) -> None:
    arms = arms_of(tmp_path, "grid: {surgery.unit.alpha: [0.25, 0.5]}")
    assert list(arms) == ["alpha=0.25", "alpha=0.5"]
    for alpha in ("0.25", "0.5"):
        arguments = arms[f"alpha={alpha}"].arguments
        assert arguments[:4] == ("--config", str(tmp_path / "baseline.yaml"), "--surgery.unit.alpha", alpha)


GRID = """\
grid:
  unit: {S: {config: unit/sru.yaml}, S+C: {config: unit/scconv.yaml}}
  surgery.unit.alpha: [0.25, 0.5]
  surgery.sites: [paper, "layer[34].*", "layer1.0, layer1.1"]
include: {plain: {}}
"""


def chosen(folder: Path, *conditions: str) -> list[str]:
    """Names of the arms that are selected, with seed 0 or whatever the conditions leave."""
    arms = arms_of(folder, GRID).values()
    return list(
        dict.fromkeys(arm.name for arm, _ in select([(arm, seed) for arm in arms for seed in (0, 1)], conditions))
    )


@pytest.mark.parametrize(
    ("condition", "count", "part"),
    [
        ("arm=S alpha=0.25 sites=paper", 1, "S "),
        ("arm=S *", 6, "S "),
        ("arm=plain", 1, "plain"),
        ("unit=S", 6, "S "),
        ("unit=S,S+C", 12, "S"),
        ("unit=S, S+C", 12, "S"),
        ("surgery.unit.alpha=0.25", 6, "alpha=0.25"),
        ("alpha=0.25", 6, "alpha=0.25"),
        ("alpha=alpha=0.25", 6, "alpha=0.25"),
        ("alpha=0.?5", 6, "alpha=0.25"),
        ("alpha=*", 12, "alpha="),
        ("sites=layer[34].*", 4, "sites=layer[34].*"),
        ("sites=layer1.0, layer1.1", 4, "sites=layer1.0, layer1.1"),
    ],
)
def test_only_selects_by_name_or_axis(tmp_path: Path, condition: str, count: int, part: str) -> None:
    names = chosen(tmp_path, condition)
    assert len(names) == count
    assert all(part in name for name in names)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("alhpa=0.25", "--only alhpa=0.25 must be KEY=PATTERN; did you mean 'alpha'?"),
        ("plain", "--only plain must be KEY=PATTERN"),
        ("alpha=", "--only alpha= matches no run; the arms are S alpha=0.25 sites=paper, "),
        ("alpha=0.75", "--only alpha=0.75 matches no run; the arms are S alpha=0.25 sites=paper, "),
        ("seed=2", "--only seed=2 matches no run"),
    ],
)
def test_a_condition_that_selects_nothing_is_refused(tmp_path: Path, condition: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        chosen(tmp_path, condition)
    assert str(refused.value).startswith(message)


def test_conditions_hold_together(tmp_path: Path) -> None:
    assert chosen(tmp_path, "alpha=0.5", "unit=S", "sites=p*") == ["S alpha=0.5 sites=paper"]
    arms = [(arm, seed) for arm in arms_of(tmp_path, GRID).values() for seed in (0, 1)]
    assert {seed for _, seed in select(arms, ["seed=1"])} == {1}
    assert select(arms, []) == arms


def refusal(folder: Path, text: str, **given: Any) -> str:
    with pytest.raises(UserError) as refused:
        arms_of(folder, text, **given)
    message = str(refused.value).replace(str(folder), "")
    assert message.count("\n") == 0
    assert message.startswith("/x.yaml: ")
    return message


def keys_of(arm: Arm) -> dict[str, str]:
    """The keys of an arm's command line, and "config" for its files, by name."""
    pairs = list(batched(arm.arguments))
    assert all(option.startswith("--") for option, _ in pairs)
    files = " ".join(Path(value).name for option, value in pairs if option == "--config")
    keys = [option for option, _ in pairs if option != "--config"]
    assert len(keys) == len({*keys})
    return {option.removeprefix("--"): value for option, value in pairs} | {"config": files}


def batched(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    return zip(words[::2], words[1::2], strict=True)


def test_every_combination_comes_once_in_the_files_order(tmp_path: Path) -> None:
    arms = arms_of(tmp_path, "grid: {a: [1, 2], arm: {x: {k: 1}, y: {}}, b: [3]}\ninclude: {z: {a: 9}}")
    assert list(arms) == ["a=1 x b=3", "a=1 y b=3", "a=2 x b=3", "a=2 y b=3", "z"]
    assert keys_of(arms["a=2 x b=3"]) == {
        "config": "baseline.yaml",
        "a": "2",
        "k": "1",
        "b": "3",
        "experiment": "x",
        "arm": "a=2 x b=3",
    }
    assert keys_of(arms["z"]) == {"config": "baseline.yaml", "a": "9", "experiment": "x", "arm": "z"}
    assert arms["a=2 x b=3"].labels == {"a": "a=2", "arm": "x", "b": "b=3"}


def test_files_and_keys_give_way_to_those_behind_them(tmp_path: Path) -> None:
    text = """\
grid:
  first: {f: {config: [f1.yaml, f2.yaml], k: 1, a: 1}}
  second: {s: {config: s.yaml, k: 2, b: 2}}
rules:
  - {when: {first: f}, keys: {config: r1.yaml, k: 3, c: 3}}
  - {when: {second: s}, keys: {config: r2.yaml, k: 4}}
"""
    given = [tmp_path / "given1.yaml", tmp_path / "given2.yaml"]
    (arm,) = arms_of(tmp_path, text, configs=given).values()
    files = "baseline.yaml given1.yaml given2.yaml f1.yaml f2.yaml s.yaml r1.yaml r2.yaml"
    expected = {"config": files, "k": "4", "a": "1", "b": "2", "c": "3", "experiment": "x", "arm": "f s"}
    assert keys_of(arm) == expected
    (arm,) = arms_of(tmp_path, text, configs=given, overrides={"k": 5, "d": None}).values()
    assert keys_of(arm) == expected | {"k": "5", "d": "null"}


def test_rules_change_the_arms_that_they_hold_for(tmp_path: Path) -> None:
    text = """\
grid: {net: {small: {}, large: {}}, a: [0.25, 0.5]}
include: {extra: {}}
resources: {runs_per_gpu: 2, minutes: 10}
rules:
  - {when: {net: large}, resources: {gpus: 2, runs_per_gpu: 1}, keys: {k: 1}}
  - {when: {net: large, a: 0.5}, resources: {minutes: 30}}
  - {when: {net: [large, small], a: ["a=0.25"]}, keys: {k: 2}}
  - {when: {arm: extra}, keys: {k: 3}}
"""
    arms = arms_of(tmp_path, text)
    assert {name: keys_of(arm).get("k") for name, arm in arms.items()} == {
        "small a=0.25": "2",
        "small a=0.5": None,
        "large a=0.25": "2",
        "large a=0.5": "1",
        "extra": "3",
    }
    assert {name: arm.resources for name, arm in arms.items()} == {
        "small a=0.25": Resources(None, 2, 10),
        "small a=0.5": Resources(None, 2, 10),
        "large a=0.25": Resources(2, 1, 10),
        "large a=0.5": Resources(2, 1, 30),
        "extra": Resources(None, 2, 10),
    }


def test_a_rule_without_a_condition_holds_for_all(tmp_path: Path) -> None:
    arms = arms_of(tmp_path, "grid: {a: [1, 2]}\ninclude: {z: {}}\nrules: [{when: {}, keys: {k: 1}}]")
    assert [keys_of(arm)["k"] for arm in arms.values()] == ["1", "1", "1"]


@pytest.mark.parametrize(("gpus", "strategy"), [(1, "auto"), (4, "ddp")])
def test_gpus_are_the_trainers_devices_unless_keys_say_otherwise(tmp_path: Path, gpus: int, strategy: str) -> None:
    text = f"grid: {{arm: {{a: {{}}, b: {{trainer.strategy: ddp_spawn}}}}}}\nresources: {{gpus: {gpus}}}"
    arms = arms_of(tmp_path, text)
    assert keys_of(arms["a"])["trainer.devices"] == str(gpus)
    assert keys_of(arms["a"])["trainer.strategy"] == strategy
    assert keys_of(arms["b"])["trainer.strategy"] == "ddp_spawn"
    assert keys_of(arms_of(tmp_path, text, overrides={"trainer.devices": 2})["a"])["trainer.devices"] == "2"
    assert "trainer.devices" not in keys_of(arms_of(tmp_path, "grid: {arm: {a: {}}}")["a"])


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ("[{a: 1}]", ["a=2 x", "a=2 y", "z"]),
        ("[{a: a=1}]", ["a=2 x", "a=2 y", "z"]),
        ("[{a: 1, arm: x}]", ["a=1 y", "a=2 x", "a=2 y", "z"]),
        ("[{a: [1, 2], arm: x}]", ["a=1 y", "a=2 y", "z"]),
        ("[{a: 1, arm: x}, {a: 2, arm: y}]", ["a=1 y", "a=2 x", "z"]),
        ("[{a: 1}, {arm: x}]", ["a=2 y", "z"]),
        ("[{}]", ["z"]),
    ],
)
def test_exclude_takes_out_what_all_of_a_condition_holds_for(tmp_path: Path, exclude: str, left: list[str]) -> None:
    text = f"grid: {{a: [1, 2], arm: {{x: {{}}, y: {{}}}}}}\ninclude: {{z: {{}}}}\nexclude: {exclude}"
    assert list(arms_of(tmp_path, text)) == left


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("exclude: [{a: 9}]", "`a` has no '9'; choose one of a=1, a=2"),
        ("exclude: [{arm: X}]", "`arm` has no 'X'"),
        ("exclude: [{aa: 1}]", "the condition {'aa': 1} names no axis"),
        ("exclude: [{3: 1}]", "the condition {3: 1} names no axis; choose one of a, arm, b"),
        ("exclude: [{}]", "`exclude` leaves no arm; remove a condition"),
        ("rules: [{when: {a: 9}}]", "`a` has no '9'"),
        ("rules: [{when: {aa: 1}}]", "names no axis"),
        (
            "exclude: [{a: 1}]\nrules: [{when: {a: 1}}]",
            "`rules[0].when` (={'a': 1}) matches no arm; correct or remove it",
        ),
        ("include: {a=1 x b=3: {}}", "two arms have the name 'a=1 x b=3'; rename one"),
    ],
)
def test_a_condition_without_an_arm_is_refused(tmp_path: Path, more: str, message: str) -> None:
    assert message in refusal(tmp_path, "grid: {a: [1, 2], arm: {x: {}, y: {}}, b: [3]}\n" + more)


@pytest.mark.parametrize(
    "value",
    [
        *(1, 0.5, -3, True, None, [1, 2], {"a": [1, None]}, [], {}),
        *("paper", "C&S", "a b", "layer[34].*", "", "null", "true", "1", "0.5", "a: b", "{a", "- x", "#x", "'", '"x"'),
        *(" x ", "größe", "a\nb", "2024-01-01", "on", "~", "=", "1:30", "@x", "%x", "!x"),
    ],
    ids=repr,
)
def test_a_value_is_read_back_as_it_was(value: Any) -> None:
    assert load(as_text(value)) == value


def test_a_date_is_a_text(tmp_path: Path) -> None:
    (arm,) = arms_of(tmp_path, "grid: {data.init_args.root: [2024-01-31]}").values()
    assert load(keys_of(arm)["data.init_args.root"]) == "2024-01-31"
