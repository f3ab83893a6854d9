"""Configuration files as people, editors and disks spoil them: a seeded mutator over the files that are shipped."""

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import date
from typing import Any

import yaml

from tests.runs import REPOSITORY

SHIPPED = sorted([*REPOSITORY.glob("configs/*/*.yaml"), *REPOSITORY.glob("experiments/*.yaml")])

Node = tuple[Any, Any]
"""A mapping or list, and a key or place in it."""

VALUES: list[Any] = [
    *(None, True, False, {}, [], [None], [[]], [{}], {"a": 1}, {3: 4}, {None: 1}, {"": ""}, ["x", 1], [1, 2, 3]),
    *(0, 1, -1, 2, 3, 7, 10**6, 10**12, 10**18, -(10**18), 10**30, 10**400),
    *(0.0, -0.0, 0.5, 1.5, -1.5, 1e-300, 1e308, float("nan"), float("inf"), float("-inf")),
    *("", " ", "x", "null", "true", "auto", "1", "1e-3", "-1", "1.5", "[1", "{", "*", "**", "a: b", "a.b.c", ".", ".."),
    *("größe", "\U0001f600", "中文", "\u202e", "\x00", "a\nb", "\t", "x" * 5000, "--config", "%s", "{0}", "$HOME", "~"),
    *("/", "/dev/null", "nowhere.yaml", "configs", "../..", b"\xff\x00", date(2023, 6, 18), {"x", "y"}),
    *({"class_path": "x"}, {"init_args": {}}, {"class_path": "scconv_lab.nn.SRU", "init_args": {"channels": 4}}),
    {"any": [{"kernel_size": 3}], "not": {"stage": "x"}},
]
CLASSES = [
    *("scconv_lab.nn.SRU", "scconv_lab.nn.CRU", "scconv_lab.models.ResNet", "scconv_lab.models.TimmNet", "SRU", "CRU"),
    *("scconv_lab.data.Digits", "ImageFolder", "torch.optim.Adam", "torch.optim.LBFGS", "torch.optim.SGD", "SGD"),
    *("torch.optim.lr_scheduler.LambdaLR", "torch.optim.lr_scheduler.OneCycleLR", "torch.optim.lr_scheduler.StepLR"),
    *("torch.nn.Linear", "torch.optim", "torch", "scconv_lab", "scconv_lab.nowhere.X", "nowhere.X", "os.path.join"),
    *("builtins.int", "X", "", ".", "..", ".X", "X.", "a..b", "a b", "scconv_lab.nn.SRU()", "größe.X"),
    *("scconv_lab.nn.",),
    *("scconv_lab.models.Net", "scconv_lab.data.ImageDataModule", "scconv_lab.nn.Unit", "scconv_lab.nn.READINGS"),
    *("torch.optim.Optimizer", "lightning.pytorch.Trainer", "CSVLogger", "scconv_lab.training.WandbLogger"),
]
BASES: list[Any] = [
    *(None, [], "x.yaml", ["nowhere.yaml"], [None], [3], [["x.yaml"]], {"x": 1}, ["."], ["/"], ["mutated.yaml"]),
    *(["/dev/null"], [""], ["\x00"], ["x" * 5000], ["../experiments/baseline.yaml\n"]),
]
WORDS = [
    *("class_path", "init_args", "bases", "config", "help", "net", "trainer", "surgery", "sites", "lr", "x"),
    *("__class__",),
]
TEXTS = [
    *("\t", "\n\tx: 1\n", "&a ", "*a ", "*nowhere", "<<: *a\n", "<<: 3\n", "\n---\n", "\n...\n", "%YAML 9.9\n"),
    *("!!set ", "!x "),
    *("!!binary ", "!!python/object/apply:os.getcwd []", "!!timestamp x", "!!float x", "!!int x", "!!null x", "? "),
    *(": ",),
    *("- ", "[", "]", "{", "}", ",", "'", '"', "#", "|", ">", "@", "`", "\x00", "\x07", "\ufeff", "\u2028", "\r"),
    *("\x85",),
    *("a: &a [*a]\n", "a: &a {a: *a}\n", "\nx: 0o17\n", "\nx: 1_000\n", "\nx: 12:30:45\n", "\nx: .nan\n", "\n1: 2\n"),
    *("\n? [a, b]\n: 3\n", "\n? {a: b}\n: 3\n", "\ntrainer: {}\n", "\nnet: null\n", "\nx: =\n", "\n~: 1\n", "\n: 1\n"),
]


def mutate(seed: int, resolved: dict[str, Any]) -> tuple[bytes, str]:
    """Spoil one file.

    Args:
        seed: The same seed gives the same file.
        resolved: A configuration with every key that there is, spoiled as often as all shipped files together.

    Returns:
        The file's content, and in words what was done.
    """
    draw = random.Random(seed)
    name, content = _shipped(draw) if draw.random() < 0.5 else ("resolved", deepcopy(resolved))
    done = [name]
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        change = draw.choice(TREE)
        content = change(draw, content)
        done.append(change.__name__)
    text = _dump(content)
    if draw.random() < 0.3:
        spoil = draw.choice(TEXT)
        text = spoil(draw, text)
        done.append(spoil.__name__)
    data = text.encode("utf-8", "surrogatepass")
    if draw.random() < 0.1:
        damage = draw.choice(BYTES)
        data = damage(draw, data)
        done.append(damage.__name__)
    return data, " ".join(done)


def _shipped(draw: random.Random) -> tuple[str, Any]:
    """A file with its bases by their whole paths, as the spoiled one lies elsewhere."""
    path = draw.choice(SHIPPED)
    content = yaml.safe_load(path.read_text())
    if "bases" in content:
        content["bases"] = [str((path.parent / base).resolve()) for base in content["bases"]]
    return path.stem, content


class _Dumper(yaml.SafeDumper):
    """Writes no anchors, and what safe_dump refuses as its repr."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(None, lambda dumper, data: dumper.represent_str(repr(data)))


def _dump(content: Any) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def nodes(content: Any) -> Iterator[Node]:
    """Every place in nested mappings and lists."""
    items: Any = (
        content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    )
    for key, value in list(items):
        yield content, key
        yield from nodes(value)


def _pick(draw: random.Random, content: Any, *, named: bool = False) -> Node:
    """Any place in the content; for `named` one in a mapping."""
    places = [node for node in nodes(content) if not named or isinstance(node[0], dict)]
    return draw.choice(places) if places else ({"x": content}, "x")


def _rename(parent: dict[Any, Any], old: Any, new: Any) -> None:
    items = [(new if key == old else key, value) for key, value in parent.items()]
    parent.clear()
    parent.update(items)


def drop(draw: random.Random, content: Any) -> Any:
    parent, key = _pick(draw, content)
    del parent[key]
    return content


def misspell(draw: random.Random, content: Any) -> Any:
    parent, key = _pick(draw, content, named=True)
    word = str(key)
    at = draw.randrange(len(word) + 1)
    spelled = draw.choice(
        [word[:at] + word[at + 1 :], word[:at] + "x" + word[at:], word.upper(), f"{word} ", word.replace("_", "-"), "é"]
    )
    _rename(parent, key, spelled)
    return content


def rename(draw: random.Random, content: Any) -> Any:
    parent, key = _pick(draw, content, named=True)
    _rename(parent, key, draw.choice([*WORDS, 3, None, True, 1.5, "x.y", f"{key}.{key}"]))
    return content


def retype(draw: random.Random, content: Any) -> Any:
    parent, key = _pick(draw, content)
    parent[key] = deepcopy(draw.choice(VALUES))
    return content


def replace_all(draw: random.Random, content: Any) -> Any:
    return deepcopy(draw.choice([*VALUES, *({word: value} for word in WORDS for value in (None, {}, [], 3, "x"))]))


def rescale(draw: random.Random, content: Any) -> Any:
    numbers = [(parent, key) for parent, key in nodes(content) if type(parent[key]) in (int, float)]
    if numbers:
        parent, key = draw.choice(numbers)
        factor = draw.choice([-1, 0, 1000, -1000, 10**9, 10**18, 0.5, 1e-9, 1e300, -0.1])
        parent[key] = factor * (parent[key] if abs(parent[key]) < 10**300 else float(f"{parent[key]}"))
    return content


def add(draw: random.Random, content: Any) -> Any:
    parent, _ = _pick(draw, content, named=True)
    parent[draw.choice(WORDS)] = deepcopy(draw.choice([*VALUES, *CLASSES]))
    return content


def swap(draw: random.Random, content: Any) -> Any:
    (left, a), (right, b) = _pick(draw, content), _pick(draw, content)
    left[a], right[b] = deepcopy(right[b]), deepcopy(left[a])
    return content


def move(draw: random.Random, content: Any) -> Any:
    (parent, key), (other, _) = _pick(draw, content, named=True), _pick(draw, content, named=True)
    other[key] = deepcopy(parent.pop(key))
    return content


def nest(draw: random.Random, content: Any) -> Any:
    parent, key = _pick(draw, content)
    for _ in range(draw.choice([1, 1, 2, 40])):
        parent[key] = draw.choice([{key: parent[key]}, [parent[key]], {"init_args": parent[key]}])
    return content


def other_class(draw: random.Random, content: Any) -> Any:
    places = [(parent, key) for parent, key in nodes(content) if key == "class_path"] or [_pick(draw, content)]
    parent, key = draw.choice(places)
    parent[key] = draw.choice(CLASSES)
    return content


def other_bases(draw: random.Random, content: Any) -> Any:
    return {"bases": draw.choice(BASES), **(content if isinstance(content, dict) else {})}


def stringify(draw: random.Random, content: Any) -> Any:
    parent, key = _pick(draw, content)
    parent[key] = str(parent[key])
    return content


def truncate(draw: random.Random, text: str) -> str:
    return text[: draw.randrange(len(text) + 1)]


def insert(draw: random.Random, text: str) -> str:
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice(TEXTS) + text[at:]


def insert_line(draw: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    lines.insert(draw.randrange(len(lines) + 1), draw.choice(TEXTS))
    return "".join(lines)


def indent(draw: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True) or [""]
    at = draw.randrange(len(lines))
    lines[at] = draw.choice([" ", "   ", "\t"]) + lines[at]
    return "".join(lines)


def outdent(draw: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True) or [""]
    at = draw.randrange(len(lines))
    lines[at] = lines[at].lstrip(" ")
    return "".join(lines)


def repeat_line(draw: random.Random, text: str) -> str:
    lines = text.splitlines(keepends=True) or [""]
    lines.insert(draw.randrange(len(lines) + 1), draw.choice(lines))
    return "".join(lines)


def anchor(draw: random.Random, text: str) -> str:
    """Lists of lists of lists by aliases: few bytes, and tens of thousands of values."""
    levels = "".join(f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]\n" for level in range(1, 5))
    return (
        f"l0: &l0 [x]\n{levels}{draw.choice(['', 'net: *l4', 'bases: *l4', 'trainer: *l4'])}\n{draw.choice(['', text])}"
    )


def deepen(draw: random.Random, text: str) -> str:
    """Deeper than Python's stack, or nearly."""
    depth = draw.choice([90, 3000])
    return f"{text}\n{draw.choice(WORDS)}: {depth * '['}{depth * ']'}\n"


def flip(draw: random.Random, data: bytes) -> bytes:
    content = bytearray(data or b"x")
    for _ in range(draw.choice([1, 3, 30])):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(content)


def junk(draw: random.Random, data: bytes) -> bytes:
    return draw.choice(
        [b"\x80\x04\x95", b"PK\x03\x04", b"\xff\xfe", b"\x89PNG", b"\x00" * 64, draw.randbytes(200), b""]
    )


def other_encoding(draw: random.Random, data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode(draw.choice(["utf-16", "utf-32", "utf-8-sig", "utf-7"]))


def cut_bytes(draw: random.Random, data: bytes) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


TREE: list[Callable[[random.Random, Any], Any]] = [
    *(6 * [retype]),
    *(6 * [rescale]),
    *(drop, drop, misspell, rename, add, swap, move, nest, other_class, other_class, other_bases, stringify),
    *(replace_all,),
]
TEXT: list[Callable[[random.Random, str], str]] = [
    *(truncate, truncate, insert, insert, insert, insert_line, indent, outdent, repeat_line, anchor, deepen),
]
BYTES: list[Callable[[random.Random, bytes], bytes]] = [flip, flip, junk, other_encoding, cut_bytes]
