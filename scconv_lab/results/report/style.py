"""Figures that print, that colour-blind people can read, and whose bytes depend on nothing but what they show."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A6C00", "#5B5B5B")
"""Okabe and Ito's, without black, and with a yellow that is seen on white."""
MARKERS = "osD^vPX*<>"
INK = "#1b1b1b"
"""The colour of text and axes; on the page it is that of the text around."""
_RC: dict[Any, Any] = {
    "font.size": 10,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


def colour(index: int) -> str:
    """The colour of the arm of a number."""
    return COLOURS[index % len(COLOURS)]


def marker(index: int) -> str:
    """The shape of the arm of a number."""
    return MARKERS[index % len(MARKERS)]


@contextmanager
def styled() -> Iterator[None]:
    """Draw within this style."""
    with matplotlib.rc_context(_RC):
        yield


def files(figure: Figure, name: str) -> dict[str, bytes]:
    """A figure as SVG, PDF and PNG, by ending; the same figure gives the same bytes."""
    found = {}
    metadata: dict[str, dict[str, Any]] = {
        "svg": {"Date": None},
        "pdf": {"CreationDate": None},
        "png": {"Software": None},
    }
    for kind, about in metadata.items():
        content = io.BytesIO()
        behind = "none" if kind == "svg" else "white"
        with matplotlib.rc_context({**_RC, "svg.hashsalt": name}):
            figure.savefig(content, format=kind, dpi=150, metadata=about, facecolor=behind)
        found[kind] = content.getvalue()
    return found


def inline(svg: bytes, title: str) -> str:
    """An SVG for a page: without its head, in the colour of the text around, and with a title for who cannot see it."""
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", svg.decode(), flags=re.DOTALL)
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    start, _, rest = text.partition(">")
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return f'{start} role="img" aria-label="{escaped}"><title>{escaped}</title>{rest}'
