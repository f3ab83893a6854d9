"""The classes that a configuration can name, and the arguments that they take."""

import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, get_type_hints


def classes_of(module: ModuleType) -> list[str]:
    """The names of the classes that a module defines."""
    return [
        name for name, value in vars(module).items() if inspect.isclass(value) and value.__module__ == module.__name__
    ]


def public_path(cls: type) -> str:
    """The dotted path by which users import a class: that of its package where the package exports it."""
    package = cls.__module__.rpartition(".")[0]
    exported = getattr(sys.modules.get(package), cls.__name__, None) is cls
    return f"{package if exported else cls.__module__}.{cls.__name__}"


def subclasses(base: type) -> Iterator[type]:
    """Yield each class derived from ``base`` that can be built and has a public name, in depth-first order."""
    for cls in type.__subclasses__(base):
        if not inspect.isabstract(cls) and not cls.__name__.startswith("_"):
            yield cls
        yield from subclasses(cls)


def arguments_of(cls: type) -> list[str]:
    """The arguments of a class, and those of its ancestors that its ``**kwargs`` hand on."""
    return list(argument_defaults(cls))


def argument_defaults(cls: type) -> dict[str, Any]:
    """The default of each argument of `arguments_of`; null for one that must be given."""
    found: dict[str, Any] = {}
    for ancestor in cls.__mro__:
        if "__init__" in vars(ancestor):
            parameters = list(inspect.signature(ancestor.__init__).parameters.values())[1:]
            for parameter in parameters:
                if parameter.kind != parameter.VAR_KEYWORD:
                    default = None if parameter.default is parameter.empty else parameter.default
                    found.setdefault(parameter.name, default)
            if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters):
                break
    return found


def hints_of(cls: type) -> dict[str, Any]:
    """The types of a class's arguments that are not null by default, those that its ``**kwargs`` hand on included."""
    hints: dict[str, Any] = {}
    for ancestor in reversed(cls.__mro__):
        if "__init__" in vars(ancestor):
            parameters = inspect.signature(ancestor.__init__).parameters
            try:
                typed = get_type_hints(ancestor.__init__)
            except NameError:  # a name that only type checkers see
                continue
            hints |= {name: typed[name] for name in parameters if name in typed}
            for name in parameters:
                if parameters[name].default is None:
                    hints.pop(name, None)
    return hints
