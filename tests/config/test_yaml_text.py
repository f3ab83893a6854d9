"""What YAML may say, and what it means."""

from typing import Any

import pytest
import yaml

from scconv_lab.config.yaml_text import dump, load

BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 10)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    "word", ["on", "off", "yes", "no", "y", "n", "On", "12:30", "1_000", "2026-01-01", "1:2.5", "="]
)
def test_a_name_stays_what_was_written(word: str) -> None:
    assert load(f"{word}: {word}") == {word: word}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("010", 10),
        ("-3", -3),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e-3", 0.001),
        ("5E2", 500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", float("-inf")),
        ("1.5e+3", 1500.0),
        ('"1e3"', "1e3"),
        ("1.2.3", "1.2.3"),
        ("e3", "e3"),
    ],
)
def test_plain_values(word: str, value: Any) -> None:
    read = load(f"x: {word}")["x"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "text", ["a: 1\nb: 2\na: 3", "x: {a: 1, a: 2}", "- {a: 1, 'a': 2}", "x:\n  y: {}\n  z: {}\n  y: {}"]
)
def test_a_key_that_is_there_twice_is_refused_with_both_lines(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match=r"is there twice, first in line \d+; remove one(.|\n)*line \d+"):
        load(text)


def test_what_a_merge_brings_may_be_overridden() -> None:
    assert load("base: &b {x: 1, y: 2}\nown: {<<: *b, x: 3}")["own"] == {"x": 3, "y": 2}


def test_aliases_may_repeat_but_not_unfold_without_end() -> None:
    assert load("a: &a [1, 2]\nb: [*a, *a]")["b"] == [[1, 2], [1, 2]]
    with pytest.raises(yaml.YAMLError, match="unfolds to more than 20,000 values"):
        load(BOMB)
    with pytest.raises(yaml.YAMLError, match="an alias holds itself"):
        load("a: &a [*a]")


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [x]", "!!python/name:os.system", "!x y"])
def test_no_tag_makes_an_object(tag: str) -> None:
    with pytest.raises(yaml.YAMLError):
        load(f"x: {tag}")


@pytest.mark.parametrize(
    "text",
    [
        "on",
        "1e3",
        "12:30",
        "0o17",
        "010",
        "1_000",
        "null",
        "~",
        "",
        "true",
        "2026-01-01",
        " x ",
        "a: b",
        "#x",
        "é",
        "-",
        "<<",
    ],
)
def test_what_is_written_is_read_back_by_any_reader(text: str) -> None:
    assert load(dump({text: [text]})) == yaml.safe_load(dump({text: [text]})) == {text: [text]}


@pytest.mark.parametrize("value", [1, -1, 0.1, 1e-5, 1e22, True, None, float("inf"), [], {}, {"a": {"b": [1, "2"]}}])
def test_values_are_read_back(value: Any) -> None:
    assert load(dump({"x": value})) == {"x": value}
