"""What of a configuration names a run, and what makes two runs differ."""

from typing import Any

import pytest

from scconv_lab.run_folder.configuration import (
    chosen,
    differing,
    identify,
    identify_by_scheme_1,
    processes_of,
)

CONFIG: dict[str, Any] = {
    "seed_everything": 0,
    "arm": "S",
    "threads": 2,
    "trainer": {"max_epochs": 5, "detect_anomaly": False, "devices": 1, "logger": {"class_path": "x"}},
    "optimizer": {"class_path": "SGD", "init_args": {"lr": 0.1, "dampening": 0.0, "betas": [0.9, 0.99]}},
}
DEFAULTS: dict[str, Any] = {
    "seed_everything": 0,
    "trainer.max_epochs": None,
    "trainer.detect_anomaly": False,
    "optimizer.init_args.lr": 0.001,
    "optimizer.init_args.dampening": 0,
    "optimizer.init_args.betas": (0.9, 0.99),
}


def changed(key: str, value: Any) -> dict[str, Any]:
    """The configuration with one key of a group set."""
    group, _, name = key.partition(".")
    if not name:
        return CONFIG | {key: value}
    inner = CONFIG[group]
    if group == "optimizer":
        return CONFIG | {group: inner | {"init_args": inner["init_args"] | {name: value}}}
    return CONFIG | {group: inner | {name: value}}


def test_only_what_was_chosen_counts() -> None:
    assert {key for key in chosen(CONFIG, DEFAULTS) if not key.startswith(("arm", "threads", "trainer.logger"))} == {
        "trainer.max_epochs",
        "trainer.devices",
        "optimizer.class_path",
        "optimizer.init_args.lr",
    }


@pytest.mark.parametrize("key", ["trainer.barebones", "optimizer.maximize", "code"])
def test_an_argument_that_a_library_adds_renames_no_run(key: str) -> None:
    added = {"trainer.barebones": False, "optimizer.init_args.maximize": False, "code": None}
    new = changed(key, False if key != "code" else None)
    assert identify(new, DEFAULTS | added) == identify(CONFIG, DEFAULTS)
    assert differing(CONFIG, new, DEFAULTS | added) == []


def test_a_default_that_changes_renames_no_run_and_is_said() -> None:
    new = changed("trainer.detect_anomaly", True)
    assert identify(new, DEFAULTS | {"trainer.detect_anomaly": True}) == identify(CONFIG, DEFAULTS)
    (text,) = differing(CONFIG, new, DEFAULTS | {"trainer.detect_anomaly": True})
    assert text == "trainer.detect_anomaly is False there and True here"


@pytest.mark.parametrize(
    ("key", "value"),
    [("trainer.max_epochs", 6), ("optimizer.lr", 0.2), ("trainer.detect_anomaly", None), ("seed_everything", 1)],
)
def test_what_is_chosen_otherwise_is_another_run(key: str, value: Any) -> None:
    assert identify(changed(key, value), DEFAULTS) != identify(CONFIG, DEFAULTS)


@pytest.mark.parametrize(
    ("key", "value"), [("trainer.devices", 4), ("arm", "other"), ("threads", 1), ("trainer.logger", None)]
)
def test_layout_places_and_loggers_name_no_run(key: str, value: Any) -> None:
    assert identify(changed(key, value), DEFAULTS) == identify(CONFIG, DEFAULTS)


def test_a_number_is_no_boolean_but_zero_is_zero() -> None:
    assert identify(changed("trainer.detect_anomaly", 0), DEFAULTS) != identify(CONFIG, DEFAULTS)
    assert identify(changed("optimizer.dampening", 0), DEFAULTS) == identify(CONFIG, DEFAULTS)


def test_scheme_1_hashes_defaults_and_no_null() -> None:
    assert identify_by_scheme_1(CONFIG, DEFAULTS) == "f30112031837"
    assert identify_by_scheme_1(changed("trainer.x", None), DEFAULTS) == "f30112031837"
    assert identify_by_scheme_1(changed("trainer.x", False), DEFAULTS) != "f30112031837"


@pytest.mark.parametrize(
    ("devices", "processes"),
    [
        (1, 1),
        ("3", 3),
        ([0, 2], 2),
        ("0,1,", 2),
        ("1,", 1),
        (-1, None),
        ("auto", None),
        ("-1", None),
        (None, None),
        ([], None),
    ],
)
def test_processes(devices: Any, processes: int | None) -> None:
    assert processes_of({"devices": devices}) == processes
