"""YAML, strictly: no key twice, no alias that unfolds without end, and names that stay what was written."""

import re
from collections.abc import Hashable
from typing import Any

import yaml

_MOST_NODES = 20_000
"""Values of a file, those counted that aliases repeat; the largest file of the lab has some 300."""
_PLAIN = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "merge": (r"<<", "<"),
}
"""What a plain word may stand for by YAML 1.2's core schema, and how it begins: on, 12:30 and 2026-01-01 are texts."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _count(node, {})
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        _require_unique(node)
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node))
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


for _name, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def load(text: str) -> Any:
    """Read one YAML document of plain values.

    Plain words are read by YAML 1.2's core schema, so that a name such as on, no, 12:30 or 2026-01-01 is a text.

    Raises:
        yaml.YAMLError: It is no YAML; a key stands twice in one mapping; or it unfolds to more than 20,000 values.
    """
    return yaml.load(text, Loader=_Loader)


def _require_unique(node: yaml.MappingNode) -> None:
    seen: dict[str, yaml.Mark] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
            continue
        if key.value in seen:
            first = seen[key.value].line + 1
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key.value!r} is there twice, first in line {first}; remove one", key.start_mark
            )
        seen[key.value] = key.start_mark


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node unfolds to, without unfolding it."""
    if id(node) in known:
        if known[id(node)] < 0:
            raise yaml.composer.ComposerError(None, None, "an alias holds itself; write the value out", node.start_mark)
        return known[id(node)]
    known[id(node)] = -1
    inner = node.value if isinstance(node, yaml.CollectionNode) else []
    parts = [part for item in inner for part in (item if isinstance(item, tuple) else (item,))]
    known[id(node)] = count = 1 + sum(_count(part, known) for part in parts)
    if count > _MOST_NODES:
        raise yaml.composer.ComposerError(
            None, None, f"it unfolds to more than {_MOST_NODES:,} values; write fewer, or no aliases", node.start_mark
        )
    return count


class _Dumper(yaml.SafeDumper):
    """Quotes what this reader, or an older one by YAML 1.1, would take for something else than a text."""


for _name, (_pattern, _first) in _PLAIN.items():
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), list(_first))


def dump(value: Any) -> str:
    """Write plain values so that `load` gives them back; keys keep their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False)
