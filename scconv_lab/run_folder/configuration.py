"""What of a run's configuration decides its result."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_WITHOUT_EFFECT = (
    "arm",
    "bases",
    "ckpt_path",
    "data.init_args.download",
    "data.init_args.num_workers",
    "data.init_args.root",
    "experiment",
    "final_test",
    "measure_cost",
    "own_code",
    "resume",
    "run_id",
    "save_every",
    "trainer.default_root_dir",
    "trainer.enable_",
    "trainer.log_every_n_steps",
    "trainer.logger",
    "trainer.num_sanity_val_steps",
    "trainer.plugins",
    "trainer.profiler",
)
"""Keys, by how they begin, that change no weight: places, loggers, what is shown."""
_LAYOUT = ("threads", "trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy")
"""Keys, by how they begin, that say who does the work."""
_OF_THE_ARM = ("net.", "seed_everything", "surgery.")
"""Keys, by how they begin, that are no part of a recipe."""
_DIGITS = 12
_SCHEME = 2
"""How `identify` names runs; scheme 1 hashed defaults too, so that an upgrade of a library renamed every run."""
_ADDED_SINCE_SCHEME_1 = ("lr_interval",)
"""Keys, by how they begin, that runs of scheme 1 do not have."""


def effective(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that a run's weights may depend on, dotted; what is None or empty is left out."""
    return {key: value for key, value in flat(config).items() if not key.startswith(_WITHOUT_EFFECT)}


def chosen(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The keys, dotted, whose value is not their default; null counts where the default is another value.

    Args:
        config: A resolved configuration, of plain values.
        defaults: The defaults by dotted key; a key that it lacks has the default null.
    """
    return {key: value for key, value in leaves(config).items() if not _same(value, defaults.get(key))}


def identify(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Name a run by what its result depends on: a hash of what was chosen, 12 hexadecimal digits.

    Defaults do not count, so that an argument that a new version of a library adds renames no run; `differing` tells a
    run that was made under other defaults. Folders, loggers and what is shown do not count either (see `effective`),
    nor how many processes and threads share the work, for the batch is that of all of them. With another number of
    processes batch norm sees other shares of it and sums are taken in another order; a sweep counts that as one run.

    Args:
        config: The resolved configuration, of plain values.
        defaults: The defaults by dotted key.
    """
    counting = {key: value for key, value in chosen(config, defaults).items() if _counts(key)}
    return _digest({"scheme": _SCHEME, **counting})


def recipe(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Name what the arms of an ablation have in common: a hash of all that counts less seed, net and surgery.

    Args:
        config: The resolved configuration, of plain values.
        defaults: The defaults by dotted key; they do not count.
    """
    counting = {key: value for key, value in chosen(config, defaults).items() if _counts(key)}
    return _digest({key: value for key, value in counting.items() if not key.startswith(_OF_THE_ARM)})


def identify_by_scheme_1(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Name a run as versions before 0.2 did, so that its folder is still found: defaults counted, null did not."""
    counting = {key: value for key, value in effective(config).items() if _counts(key)}
    added = {
        key for key in counting if key.startswith(_ADDED_SINCE_SCHEME_1) and _same(counting[key], defaults.get(key))
    }
    return _digest({key: value for key, value in counting.items() if key not in added})


def processes_of(trainer: Mapping[str, Any]) -> int | None:
    """Return how many processes of one machine ``trainer.devices`` asks for; None where the machine decides.

    A number counts devices; a list, or text with a comma ("0,1"), names them.
    """
    devices = trainer.get("devices")
    if isinstance(devices, list):
        return len(devices) or None
    words = str(devices).split(",")
    if len(words) > 1:
        return len([word for word in words if word.strip()]) or None
    return int(words[0]) if words[0].strip().isdecimal() and int(words[0]) else None


def differing(
    saved: Mapping[str, Any], config: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> list[str]:
    """What two configurations differ in, of the keys that a run's weights may depend on.

    Args:
        saved: The one that a run was made by. A key that it lacks, as one that a new version of a library has added,
            differs only if ``config`` does not have it at its default.
        config: The one that is asked for.
        defaults: The defaults of ``config`` by dotted key.
    """
    known = leaves(saved)
    unchanged = {
        key for key, value in leaves(config).items() if key not in known and _same(value, (defaults or {}).get(key))
    }
    return [
        text
        for key, text in differences(saved, config).items()
        if not key.startswith(_WITHOUT_EFFECT) and key not in unchanged
    ]


def other_defaults(saved: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """What two configurations of one run (see `identify`) differ in, of the keys that count and that both have."""
    common = flat(saved).keys() & flat(config).keys()
    return [text for key, text in differences(saved, config).items() if key in common and _counts(key)]


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, str]:
    """What two nested descriptions differ in, by dotted key; what is None or empty counts as absent."""
    saved, current = flat(there), flat(here)
    return {
        key: f"{key} is {saved.get(key)!r} there and {current.get(key)!r} here"
        for key in sorted(saved.keys() | current.keys())
        if saved.get(key) != current.get(key)
    }


def flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """A nested description by dotted key, without what is None or empty."""
    return {key: item for key, item in leaves(value).items() if item is not None}


def leaves(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested description by dotted key, without what is empty; tuples become lists."""
    items: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            items |= leaves(item, f"{prefix}{key}.")
        else:
            items[f"{prefix}{key}"] = list(item) if isinstance(item, tuple) else item
    return items


def _counts(key: str) -> bool:
    return not key.startswith((*_WITHOUT_EFFECT, *_LAYOUT))


def _same(value: Any, default: Any) -> bool:
    """Whether a value is the default: 0 is 0.0, and no boolean is a number."""
    if isinstance(default, tuple):
        default = list(default)
    return value == default and isinstance(value, bool) == isinstance(default, bool)


def _digest(counting: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(counting, sort_keys=True).encode()).hexdigest()[:_DIGITS]
