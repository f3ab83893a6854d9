"""Chooses the convolutions of a net that surgery works on."""

import inspect
import pkgutil
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from scconv_lab.errors import UserError
from scconv_lab.surgery.blocks import find_blocks

PAPER = "paper"
"""The paper's sites: the 3x3 inside every bottleneck and dense layer, the second 3x3 of every basic block."""


@dataclass(frozen=True)
class Site:
    """A convolution, and where it stands.

    Attributes:
        name: Its qualified name, such as "layer3.0.conv2".
        conv: The convolution.
        stage: The number in the first numbered part of the name, its last part and stems aside: 3 in layer3.0.conv2, 2
            in stages.2.blocks.0.conv1; None where there is none.
        blocks: What it stands in: the class names of the modules around it, and "bottleneck", "basic" or "dense" where
            it is on the way through such a block.
        paper: Whether it is one of the paper's sites.
        of_unit: Whether it is a part of a unit of an earlier surgery; only its own name selects it.
    """

    name: str
    conv: nn.Conv2d
    stage: int | None
    blocks: frozenset[str]
    paper: bool
    of_unit: bool = False


Selector = Mapping[str, Any] | Sequence[Any] | str | Callable[[Site], bool]
"""What `select_sites` understands."""

_MARK = "_site_of_surgery"
_NUMBERS: dict[str, Callable[[Site], tuple[int, ...]]] = {
    "kernel_size": lambda site: site.conv.kernel_size,
    "stride": lambda site: site.conv.stride,
    "dilation": lambda site: site.conv.dilation,
    "groups": lambda site: (site.conv.groups,),
    "channels": lambda site: (site.conv.in_channels, site.conv.out_channels),
    "in_channels": lambda site: (site.conv.in_channels,),
    "out_channels": lambda site: (site.conv.out_channels,),
    "stage": lambda site: () if site.stage is None else (site.stage,),
}
_KEYS = ("name", *_NUMBERS, "block", "predicate", "any", "all", "not", "every")


def select_sites(net: nn.Module, sites: Selector) -> list[str]:
    """Name the convolutions that ``sites`` selects, in the order of the net.

    A selector is one of

    - "paper", see `PAPER`
    - a glob over the qualified names of the convolutions: "layer[34].*.conv2"
    - a mapping of conditions, which all have to hold: ``{"kernel_size": 3, "stage": [2, 4], "channels": [64, 256]}``
    - a list of selectors, of which one has to hold
    - a function of a `Site`

    The keys of a mapping are ``name`` (a glob); ``kernel_size``, ``stride``, ``dilation``, ``groups``, ``channels``
    (in and out alike), ``in_channels``, ``out_channels`` and ``stage``, each a number or [lowest, highest], of a
    convolution with two sizes true of both; ``block`` (see `Site`); ``predicate`` (a function of a `Site`, or its
    dotted path); ``any`` and ``all`` (lists of selectors) and ``not`` (a selector); and ``every``: of what the other
    conditions leave, the first of every so many.

    Args:
        net: Any net; its ``nn.Conv2d`` are the candidates. One that the net holds in several places goes by each name;
            one inside a unit of an earlier surgery is selected only by its whole name.
        sites: The selector.

    Returns:
        Qualified names such as "layer1.0.conv2".

    Raises:
        UserError: (a ValueError) if a selector, or a part of one, matches no convolution; the message lists near
            misses. So does an unknown key or a value of the wrong kind.
    """
    found = find_sites(net)
    if not found:
        raise UserError(f"`sites` (={sites!r}): {type(net).__name__} has no nn.Conv2d to work on")
    return [site.name for site in _select(sites, found)]


def find_sites(net: nn.Module) -> list[Site]:
    """Every convolution of a net, in its order."""
    modules = dict(net.named_modules(remove_duplicate=False))
    units = tuple(f"{name}." for name, module in modules.items() if site_of(module) is not None)
    blocks = find_blocks(modules)
    paper = {block.site for block in blocks}
    kinds: dict[str, set[str]] = {}
    for block in blocks:
        for name in block.convs:
            kinds.setdefault(name, set()).add(block.kind)
    sites = []
    for name, module in modules.items():
        if not name or not isinstance(module, nn.Conv2d):
            continue
        parts = name.split(".")
        around = [".".join(parts[:count]) for count in range(len(parts))]
        names = {type(modules[outer]).__name__ for outer in around} | kinds.get(name, set())
        place = (_stage(parts[:-1]), frozenset(names), name in paper, name.startswith(units))
        sites.append(Site(name, module, *place))
    return sites


def mark(unit: nn.Module, site: str) -> None:
    """Let a unit, and its copies, know the site where surgery has put it."""
    vars(unit)[_MARK] = site


def site_of(module: nn.Module) -> str | None:
    """The site where surgery has put a unit; None for any other module."""
    return vars(module).get(_MARK)


def _stage(parts: Sequence[str]) -> int | None:
    if any("stem" in part for part in parts):
        return None
    numbers = (re.search(r"\d+", part) for part in parts)
    return next((int(number[0]) for number in numbers if number), None)


def _select(selector: Selector, found: list[Site]) -> list[Site]:
    outside = [site for site in found if not site.of_unit]
    if isinstance(selector, Mapping):
        chosen = _meeting_all(selector, outside)
    elif callable(selector):
        chosen = [site for site in outside if _agrees(selector, site)]
    elif isinstance(selector, str):
        candidates = [site for site in found if site.name == selector] or outside
        chosen = [s for s in candidates if (s.paper if selector == PAPER else fnmatchcase(s.name, selector))]
    elif isinstance(selector, Sequence):
        chosen = _meeting_any(selector, found)
    else:
        raise UserError(f"`sites` (={selector!r}) must be 'paper', a glob, a mapping of conditions or a list of these")
    if not chosen:
        raise UserError(f"`sites` (={selector!r}) matches none of {len(found)} convolutions; {_near(selector, found)}")
    return chosen


def _meeting_any(selectors: Sequence[Any], found: list[Site]) -> list[Site]:
    _require_some(selectors)
    names = {site.name for selector in selectors for site in _select(selector, found)}
    return [site for site in found if site.name in names]


def _require_some(selectors: Sequence[Any] | Mapping[str, Any]) -> None:
    if not selectors:
        what = "mapping" if isinstance(selectors, Mapping) else "list"
        raise UserError(f"`sites` is an empty {what}; name at least one site, or leave the surgery out")


def _meeting_all(conditions: Mapping[str, Any], found: list[Site]) -> list[Site]:
    _require_some(conditions)
    unknown = [key for key in conditions if key not in _KEYS]
    if unknown:
        raise UserError(f"`sites` has no condition {unknown[0]!r}; choose one of {', '.join(_KEYS)}")
    met = {key: _meeting(key, value, found) for key, value in conditions.items() if key != "every"}
    counts: Counter[str] = Counter(name for names in met.values() for name in names)
    chosen = [site for site in found if counts[site.name] == len(met)]
    if not chosen:
        each = ", ".join(f"{key} (={conditions[key]!r}) {len(names)}" for key, names in met.items())
        raise UserError(f"`sites`: no convolution meets all conditions at once, of {len(found)} they meet: {each}")
    return chosen[:: _whole("every", conditions.get("every", 1))]


def _meeting(key: str, value: Any, found: list[Site]) -> set[str]:
    """Names of the sites that meet one condition: at least one."""
    if key in ("any", "all") and (isinstance(value, str | Mapping) or not isinstance(value, Sequence)):
        raise UserError(f"`sites`: {key!r} (={value!r}) must be a list of selectors")
    if key == "all":
        _require_some(value)
        parts = [{site.name for site in _select(part, found)} for part in value]
        chosen = set.intersection(*parts) if parts else set()
        if not chosen:
            counts = ", ".join(f"{part!r} {len(names)}" for part, names in zip(value, parts, strict=True))
            raise UserError(f"`sites`: no convolution meets all of 'all' at once, of {len(found)} they meet: {counts}")
        return chosen
    if key == "not":
        excluded = {site.name for site in _select(value, found)}
        return {site.name for site in found} - excluded
    if key in _NUMBERS:
        low, high = _range(key, value)
        read = _NUMBERS[key]
        chosen = {site.name for site in found if read(site) and all(low <= number <= high for number in read(site))}
        if not chosen:
            there = sorted({number for site in found for number in read(site)})
            listed = _listed(there) if there else "none"
            raise UserError(f"`sites`: {key!r} (={value!r}) matches no convolution; there are {listed}")
        return chosen
    if key in ("block", "name") and not isinstance(value, str):
        what = "a glob" if key == "name" else "a kind of block or a class name"
        raise UserError(f"`sites`: {key!r} (={value!r}) must be {what}; list several in 'any'")
    if key == "block":
        chosen = {site.name for site in found if value in site.blocks}
        if not chosen:
            there = sorted(set.union(*(set(site.blocks) for site in found)))
            raise UserError(f"`sites`: 'block' (={value!r}) surrounds no convolution; there are {_listed(there)}")
        return chosen
    selector = _predicate(value) if key == "predicate" else value
    return {site.name for site in _select(selector, found)}


def _range(key: str, value: Any) -> tuple[int, int]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2 or _whole(key, value[0], least=0) > _whole(key, value[1], least=0):
            raise UserError(f"`sites`: {key!r} (={value!r}) must be a number or a range [lowest, highest]")
        return value[0], value[1]
    number = _whole(key, value, least=0)
    return number, number


def _whole(key: str, value: Any, *, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"`sites`: {key!r} (={value!r}) must be a whole number of at least {least}")
    return value


def _predicate(value: Any) -> Callable[[Site], bool]:
    if callable(value):
        return value
    function = _function(value)
    if function is None:
        raise UserError(
            f"`sites`: 'predicate' (={value!r}) must be a function of a site, or its dotted path such as "
            "'package.module.function'"
        )

    def holds(site: Site) -> bool:
        try:
            answer = function(site)
            plain = answer in (True, False, None)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise UserError(f"`sites`: 'predicate' (={value!r}) fails at {site.name}: {reason}; correct it") from error
        if not plain:
            raise UserError(
                f"`sites`: 'predicate' (={value!r}) answers {answer!r} for {site.name}; it must answer true or false"
            )
        return bool(answer)

    return holds


def _function(path: Any) -> Callable[[Site], Any] | None:
    """The function of one argument that a dotted path names; None where it names none, or one of Python's own."""
    if not isinstance(path, str) or re.split("[.:]", path)[0] in sys.stdlib_module_names:
        return None
    try:
        function = pkgutil.resolve_name(path)
        if isinstance(function, type) or inspect.isbuiltin(function):
            return None
        inspect.signature(function).bind(None)
    except (ImportError, AttributeError, ValueError, TypeError):
        return None
    return function


def _agrees(predicate: Callable[[Site], bool], site: Site) -> bool:
    try:
        return bool(predicate(site))
    except Exception as error:
        name = getattr(predicate, "__qualname__", repr(predicate))
        raise UserError(
            f"`sites`: 'predicate' ({name}) fails for site {site.name} ({type(error).__name__}: {error}); it must be a "
            "function of a site, true of those to select"
        ) from error


def _near(selector: Selector, found: list[Site]) -> str:
    names = [site.name for site in found]
    if selector == PAPER:
        return (
            "no block has convolutions of 1x1, 3x3, 1x1, of 3x3, 3x3 with a shortcut, or of 1x1, 3x3; select by a glob "
            f"or a condition, for example one of {', '.join(names[:5])}"
        )
    near = get_close_matches(str(selector), [PAPER, *names], n=5, cutoff=0.3) or [PAPER, *names[:4]]
    return f"near misses: {', '.join(near)}"


def _listed(values: Iterable[Any], *, shown: int = 16) -> str:
    texts = [str(value) for value in values]
    return ", ".join(texts[:shown]) + (", ..." if len(texts) > shown else "")
