"""The parser of the lab's keys, strict about names and short about what is wrong."""

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from scconv_lab.config import nearest, read_yaml
from scconv_lab.errors import UserError

_NOISE = (
    "Does not validate against",
    "Subtypes:",
    "Errors:",
    "Given value type:",
    "Expected a path but",
    "Expected a <class 'NoneType'>",
    "Given value: {",
    "Given value: Namespace",
)


class LabParser(LightningArgumentParser):
    """Refuses every key that nothing reads, and names the nearest that something does.

    jsonargparse by itself accepts unknown keys that hold an empty mapping, and keys that a link overwrites.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.class_groups: dict[str, type] = {}
        self.class_arguments: dict[str, list[str]] = {}
        self.linked: dict[str, str] = {}

    def add_class_group(self, base: type, key: str, *, skip: str, required: bool = True) -> None:
        """Declare a key that names a subclass of ``base`` and its arguments, less ``skip``; it stays a description."""
        self.add_subclass_arguments(base, key, skip={skip}, instantiate=False, required=required)
        if not required:
            self.set_defaults({key: None})
        self.describe_class_group(base, key, skip=skip)

    def describe_class_group(self, base: type, key: str, *, skip: str | None = None) -> None:
        """Note which classes and arguments a key that is already declared can name."""
        names = {name for cls in _subclasses(base) for name in inspect.signature(cls).parameters}
        self.class_groups[key] = base
        self.class_arguments[key] = sorted(names - {skip})

    def link(self, source: str | tuple[str, ...], target: str, **how: Any) -> None:
        """Let ``target`` be computed from ``source``, and not be given."""
        self.link_arguments(source, target, **how)
        self.linked[target] = source if isinstance(source, str) else source[0].partition(".")[0]

    def require_known_keys(self, path: Path) -> None:
        """Raise UserError if the configuration file holds a key that nothing reads."""
        self._require_known(path, read_yaml(path), "")

    def _require_known(self, path: Path, content: Mapping[str, Any], prefix: str) -> None:
        keys = self._keys()
        for name, value in content.items():
            key = f"{prefix}{name}"
            if key in self.linked:
                raise UserError(f"{path}: {key!r} is taken from `{self.linked[key]}`; give it there")
            if key in self.class_groups:
                self._require_known_class(path, key, value)
            elif key in keys:
                continue
            elif not any(known.startswith(f"{key}.") for known in keys):
                raise UserError(f"{path}: there is no key {key!r}{nearest(key, keys)}")
            elif isinstance(value, dict):
                self._require_known(path, value, f"{key}.")

    def _require_known_class(self, path: Path, key: str, value: Any) -> None:
        if not isinstance(value, dict):
            return
        for name in value:
            if name not in ("class_path", "init_args", "dict_kwargs"):
                raise UserError(f"{path}: there is no key {f'{key}.{name}'!r}; choose class_path or init_args")
        for name, argument in (value.get("init_args") or {}).items():
            if argument == {}:  # any other unknown argument is refused by jsonargparse
                self._require_known_argument(f"{path}: ", key, name)

    def _require_known_argument(self, source: str, key: str, name: str) -> None:
        if name not in self.class_arguments[key]:
            raise UserError(f"{source}`{key}` has no argument {name!r}{nearest(name, self.class_arguments[key])}")

    def _keys(self) -> list[str]:
        """Every key that can be given, and no group of keys."""
        given = {action.dest for action in self._actions if not action.dest.endswith("help")}
        keys = given - self.linked.keys() - {"config", "print_config"}
        groups = {key.rpartition(".")[0] for key in given}
        return sorted(keys - groups)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise UserError with one short message."""
        unknown = re.search(r"unrecognized arguments: --([^\s=]+)|does not accept option '(.+?)'", message)
        if unknown:
            key = unknown[1] or unknown[2]
            arguments = [f"{group}.{name}" for group, names in self.class_arguments.items() for name in names]
            raise UserError(f"there is no key {key!r}{nearest(key, [*self._keys(), *arguments])}") from ex
        group = re.match(r'Parser key "(.+?)":', message)
        if group and group[1] in self.class_groups:
            if refused := re.search(r"Option '(\w+)' is not accepted", message):
                self._require_known_argument("", group[1], refused[1])
            names = [cls.__name__ for cls in _subclasses(self.class_groups[group[1]])]
            if wrong_class := re.search(r"given class_path '(.+?)'|Given value: ([\w.]+)$", message):
                name = (wrong_class[1] or wrong_class[2]).rpartition(".")[2]
                raise UserError(f"{_short(message)}{nearest(name, names)}") from ex
        raise UserError(_short(message)) from ex


def _subclasses(base: type) -> Iterator[type]:
    for cls in base.__subclasses__():
        if not inspect.isabstract(cls) and not cls.__name__.startswith("_"):
            yield cls
        yield from _subclasses(cls)


def _short(message: str) -> str:
    """One line of jsonargparse's many: the key, what is expected, and the value."""
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    kept = [line for line in lines if line and not line.startswith(_NOISE)]
    text = re.sub(r'Parser key "(.+?)":', r"`\1`:", "; ".join(dict.fromkeys(kept)))
    text = text.replace(":;", ":").replace("Given value:", "given:").replace("typing.Literal", "one of ")
    return re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text)
