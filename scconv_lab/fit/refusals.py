"""jsonargparse's errors in one line each."""

import re
import traceback
from pathlib import Path

from scconv_lab.errors import UserError

_PACKAGE = Path(__file__).parent.parent
_NOISE = (
    "Does not validate against",
    "Subtypes:",
    "Errors:",
    "Given value type:",
    "Expected a path but",
    "Expected a <class 'NoneType'>",
    "Given value: {",
    "Given value: Namespace",
    "Given value: [Namespace",
    "Not a valid subclass of",
    "Subclass types expect one of",
    "a class path (str)",
    "a dict with",
)


def refusal_of(error: ValueError) -> Exception:
    """What to raise where a class of the configuration could not be built.

    Args:
        error: jsonargparse's own, about all types of the key at once; what the class raised is in its chain.

    Returns:
        The UserError in the chain, or one with the short message of a library's class; ``error`` where code of this
        lab raised anything else, for that is a defect.
    """
    chain: list[BaseException] = [error]
    while following := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(following)
    for link in chain:
        if isinstance(link, UserError):
            return link
    frames = traceback.extract_tb(chain[-1].__traceback__)
    return error if Path(frames[-1].filename).is_relative_to(_PACKAGE) else UserError(short(str(error)))


def short(message: str) -> str:
    """One line of jsonargparse's many: the key, what is expected, and the value."""
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    kept = [line for line in lines if line and not line.startswith(_NOISE)]
    text = re.sub(r'Parser key "(.+?)":', r"`\1`:", "; ".join(dict.fromkeys(kept)))
    text = (
        text.replace(":;", ":")
        .replace("Given value:", "given:")
        .replace("a typing.Literal", "one of ")
        .replace("typing.Literal", "one of ")
    )
    text = re.sub(r"NestedArg\(key='.*?', val=(.*?)\)$", r"\1", text)
    text = re.sub(r"Namespace\((.*)\)", r"{\1}", text)
    return re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text)
