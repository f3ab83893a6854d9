"""The parser of the lab's keys, strict about names and short about what is wrong."""

import importlib
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

import yaml
from jsonargparse import Namespace, set_loader
from lightning.pytorch.cli import LightningArgumentParser

from scconv_lab.config import read_yaml, yaml_text
from scconv_lab.errors import UserError
from scconv_lab.fit.class_arguments import (
    argument_defaults,
    arguments_of,
    classes_of,
    hints_of,
    public_path,
    subclasses,
)
from scconv_lab.fit.refusals import short
from scconv_lab.messages import nearest
from scconv_lab.nn import Unit


def _load_value(text: str) -> Any:
    """A value of the command line; what looks like a set, "{a, b}", is a text, as jsonargparse has it."""
    value = yaml_text.load(text)
    return text if isinstance(value, dict) and value and all(item is None for item in value.values()) else value


set_loader("yaml", _load_value, exceptions=(yaml.YAMLError,))


class LabParser(LightningArgumentParser):
    """Refuses every key that nothing reads, and names the nearest that something does.

    jsonargparse by itself accepts unknown keys that hold an empty mapping, and keys that a link overwrites.

    Args:
        command: Whose keys it reads; None is the parser that holds those of the commands.
    """

    def __init__(self, *args: Any, command: str | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.command = command
        self.class_groups: dict[str, type] = {}
        self.other_classes: dict[str, type] = {}
        self.skipped: dict[str, set[str]] = {}
        self.linked: dict[str, str] = {}
        self.free_mappings: set[str] = set()

    def add_class_group(
        self, base: type, key: str, *, skip: set[str], required: bool = True, first: tuple[type, ...] = ()
    ) -> None:
        """Declare a key that names a subclass of ``base`` and its arguments, less ``skip``; it stays a description.

        ``first`` are the classes that are meant by a name without a path, where there are others of that name.
        """
        self.add_subclass_arguments((*first, base), key, skip=skip, instantiate=False, required=required)
        if not required:
            self.set_defaults({key: None})
        self.class_groups[key] = base
        self.skipped[key] = skip

    def let_free(self, key: str) -> None:
        """Declare a key whose value may be a mapping of any keys; its reader checks them."""
        self.free_mappings.add(key)

    def link(self, source: str | tuple[str, ...], target: str, **how: Any) -> None:
        """Let ``target`` be computed from ``source``, and not be given."""
        self.link_arguments(source, target, **how)
        self.linked[target] = (source if isinstance(source, str) else source[0]).partition(".")[0]

    def require_known_keys(self, files: Sequence[Path]) -> None:
        """Raise UserError if a configuration file holds a key that nothing reads, the earlier files given."""
        classes: dict[str, type] = {}
        for file in files:
            content = read_yaml(file)
            if not content:
                raise UserError(f"{file} holds no keys; give it some, or leave it out")
            self._require_known(file, "", content, classes)

    def _require_known(self, file: Path, group: str, content: Any, classes: dict[str, type]) -> None:
        if not isinstance(content, dict):
            raise UserError(f"{file}: `{group}` (={content!r}) must hold keys and their values; or leave it out")
        keys = self._keys()
        for name, value in content.items():
            key = f"{group}.{name}" if group else str(name)
            if key in self.linked:
                raise UserError(f"{file}: {self._say_linked(key)}")
            if key in self.free_mappings:
                continue
            if key in keys:
                self._require_known_class(file, key, value, classes)
            elif any(known.startswith(f"{key}.") for known in keys):
                self._require_known(file, key, value, classes)
            else:
                groups = [known.partition(".")[0] for known in keys]
                raise UserError(
                    f"{file}: there is no key {key!r}{nearest(key, [*keys, *(groups if not group else [])])}"
                )

    def _require_known_class(self, file: Path, key: str, value: Any, classes: dict[str, type]) -> None:
        """Look into the descriptions of classes, ``{class_path: ..., init_args: ...}``; skip other values."""
        if key in self.class_groups and not isinstance(value, dict | str | None):
            raise UserError(f"{file}: `{key}` (={value!r}) must name a class: class_path and init_args")
        for description in value if isinstance(value, list) else [value]:
            if not isinstance(description, dict):
                continue
            for name in description:
                if name not in ("class_path", "init_args"):
                    raise UserError(f"{file}: there is no key {f'{key}.{name}'!r}; choose class_path or init_args")
            if "class_path" in description:
                classes[key] = self._import(file, key, str(description["class_path"]))
            arguments = description.get("init_args") or {}
            if not isinstance(arguments, dict):
                raise UserError(f"{file}: `{key}.init_args` (={arguments!r}) must hold arguments and their values")
            known = arguments_of(classes[key]) if key in classes else []
            for name, argument in arguments.items():
                if argument == {} and name not in known:  # jsonargparse refuses what is not empty
                    raise UserError(f"{file}: `{key}` has no argument {name!r}{nearest(str(name), known)}")

    def _import(self, file: Path, key: str, class_path: str) -> type:
        base = self.class_groups.get(key, object)
        classes = {cls.__name__: cls for cls in subclasses(base)}
        module, _, name = class_path.rpartition(".")
        try:
            if not all(part.isidentifier() for part in class_path.split(".")):
                raise ImportError
            found = getattr(importlib.import_module(module), name) if module else classes[name]
        except (ImportError, AttributeError, KeyError):
            found = None
        if inspect.isclass(found) and issubclass(found, base):
            return found
        if key in self.class_groups:
            raise UserError(f"{file}: {self._say_no_class(key, class_path)}")
        raise UserError(f"{file}: `{key}` names {class_path!r}, which is not {'a class' if found else 'there'}")

    def require_values(self, settings: Namespace) -> None:
        """Raise UserError if a class is none that can be built, or an argument holds what none can use.

        jsonargparse lets a null pass for every argument of a class, and makes an empty mapping the class that the
        others have in common. A text with a zero byte is a file's name or a word to nobody.
        """
        for key, value in vars(settings.as_flat()).items():
            if r"\x00" in repr(value):
                raise UserError(f"`{key}` (={value!r}) must not hold a zero byte; remove it")
        for key, base in self.class_groups.items():
            group = settings.get(key)
            if group is None:
                continue
            cls = self._find(group.class_path)
            if cls is base:
                choices = nearest("", [cls.__name__ for cls in subclasses(base)])
                raise UserError(f"`{key}` must name a class, and {cls.__name__} is what they have in common{choices}")
            hints = hints_of(cls)
            for argument, value in vars(group.get("init_args") or Namespace()).items():
                if value is None and argument in hints and type(None) not in get_args(hints[argument]):
                    raise UserError(f"`{key}.{argument}` (=null) must have a value; leave it out for its default")

    def defaults(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The default of each key of a resolved configuration, dotted; a class's arguments have its signature's."""
        found = {key: plain for key, plain in vars(self.get_defaults().as_flat()).items() if not callable(plain)}
        for key in self.class_groups:
            group: Any = config
            for part in key.split("."):
                group = (group or {}).get(part)
            if group and "class_path" in group:
                signature = argument_defaults(self._find(group["class_path"]))
                found |= {f"{key}.init_args.{name}": default for name, default in signature.items()}
        return found

    @staticmethod
    def _find(class_path: str) -> type:
        module, _, name = class_path.rpartition(".")
        return getattr(importlib.import_module(module), name)

    def _keys(self) -> list[str]:
        """Every key that can be given, and no group of keys."""
        given = {action.dest for action in self._actions if not action.dest.endswith("help")}
        keys = given - self.linked.keys() - {"config", "print_config"}
        groups = {key.rpartition(".")[0] for key in given}
        return sorted(keys - groups)

    def every_key(self) -> list[str]:
        """List the keys, and below those that name a class the arguments of each class that is known."""
        inner = [
            f"{group}.{name}"
            for group, base in self.class_groups.items()
            for cls in subclasses(base)
            for name in arguments_of(cls)
            if name not in self.skipped.get(group, ())
        ]
        return [*self._keys(), *dict.fromkeys(inner)]

    def _say_linked(self, key: str) -> str:
        return f"{key!r} is taken from `{self.linked[key]}`; give it there"

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise UserError with one short message."""
        unknown = re.search(r"unrecognized arguments: --([^\s=]+)|does not accept option '(.+?)'", message)
        if unknown:
            raise UserError(self._say_unknown(unknown[1] or unknown[2])) from ex
        linked = next((key for key in self.linked if re.search(rf"--> {re.escape(key)}\b", message)), None)
        if linked:
            raise UserError(self._say_linked(linked)) from ex
        group = re.match(r'Parser key "(.+?)":', message)
        base = (self.class_groups | self.other_classes).get(group[1]) if group else None
        offer = self._offer(group[1], base, message) if group and base else None
        raise UserError(offer or short(message)) from ex

    def _say_unknown(self, key: str) -> str:
        computed = next((linked for linked in self.linked if key.startswith(f"{linked}.")), None)
        if computed:
            return self._say_linked(computed)
        return f"there is no key {key!r}{nearest(key, self.every_key())}"

    def _offer(self, key: str, base: type, message: str) -> str | None:
        """What is wrong with a class or its arguments, and the nearest that is there."""
        classes = list(subclasses(base))
        known = sorted({name for cls in classes for name in arguments_of(cls)})
        refused = re.search(r"Option '(\w+)' is not accepted", message)
        if refused and refused[1] in self.skipped.get(key, ()):
            return f"`{key}` takes its {refused[1]!r} from where it stands; leave it out"
        if refused and refused[1] not in known:
            return f"`{key}` has no argument {refused[1]!r}{nearest(refused[1], known)}"
        if refused:
            owners = [public_path(cls) for cls in classes if refused[1] in arguments_of(cls)]
            return f"`{key}`: {refused[1]!r} is no argument of the class given; {', '.join(owners[:4])} has it"
        required = re.search(r"the following arguments are required: (.+)", message)
        if required:
            return f"`{key}` needs a value for {required[1]}; give it one"
        wrong = re.search(r"given class_path '(.+?)'|Import path (\S+) does not|Given value: ([\w.]+)$", message)
        if wrong:
            return self._say_no_class(key, next(group for group in reversed(wrong.groups()) if group))
        return None

    def _say_no_class(self, key: str, class_path: str) -> str | None:
        """Why a name is no class that belongs at a key: it is not there, not a class, or of another kind; else None."""
        base = (self.class_groups | self.other_classes)[key]
        names = [cls.__name__ for cls in subclasses(base)]
        module, _, name = class_path.rpartition(".")
        said = f"`{key}` names {class_path!r}, which is"
        if not module or not all(part.isidentifier() for part in class_path.split(".")):
            return f"{said} not there: neither a class of the lab nor MODULE.CLASS of your own{nearest(name, names)}"
        try:
            found = getattr(importlib.import_module(module), name)
        except ImportError as error:
            if error.name and not module.startswith(error.name):
                return f"{said} not there: {module} cannot be imported: {error}"
            return f"{said} not there: {module} is not installed, nor a file next to the experiment or here"
        except AttributeError:
            offer = nearest(name, [*names, *classes_of(sys.modules[module])])
            return f"{said} not there: {module} has no {name!r}{offer}"
        if not inspect.isclass(found):
            return f"{said} not a class{nearest(name, names)}"
        if issubclass(found, base):
            return None
        if base is Unit:
            return (
                f"{said} no Unit: a torch.nn.Module that can be built from only the number of channels, such as "
                "`def __init__(self, channels: int, factor: float = 1.0)`"
            )
        return f"{said} not derived from {public_path(base)}; derive it from that"
