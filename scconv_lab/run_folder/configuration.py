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
_DIGITS = 12


def effective(config: dict[str, Any]) -> dict[str, Any]:
    """The keys that a run's weights may depend on, dotted; what is None or empty is left out."""
    return {key: value for key, value in flat(config).items() if not key.startswith(_WITHOUT_EFFECT)}


def identify(config: Mapping[str, Any]) -> str:
    """Name a run by what its result depends on: a hash of its configuration.

    Folders, loggers and what is shown do not count (see `effective`), nor how many processes and threads share the
    work, for the batch is that of all of them. With another number of processes batch norm sees other shares of it and
    sums are taken in another order; a sweep counts that as the same run.
    """
    counting = {key: value for key, value in effective(dict(config)).items() if not key.startswith(_LAYOUT)}
    return hashlib.sha256(json.dumps(counting, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def differing(saved: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """What two configurations differ in, of the keys that a run's weights may depend on."""
    return [text for key, text in differences(saved, config).items() if not key.startswith(_WITHOUT_EFFECT)]


def differences(there: dict[str, Any], here: dict[str, Any]) -> dict[str, str]:
    """What two nested descriptions differ in, by dotted key; what is None or empty counts as absent."""
    saved, current = flat(there), flat(here)
    return {
        key: f"{key} is {saved.get(key)!r} there and {current.get(key)!r} here"
        for key in sorted(saved.keys() | current.keys())
        if saved.get(key) != current.get(key)
    }


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested description by dotted key, without what is None or empty."""
    items: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            items |= flat(item, f"{prefix}{key}.")
        elif item not in (None, {}):
            items[f"{prefix}{key}"] = list(item) if isinstance(item, tuple) else item
    return items
