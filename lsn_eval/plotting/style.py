"""What every figure has in common: colours, type sizes, sizes in inches, and the notes below it."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

CHANGE = "PuOr_r"
"""Colours of changes: white is none; orange and purple differ to the colour-blind, too."""
AMOUNT = "cividis"
"""Colours of amounts, from dark to light for every reader and a grey printer."""
TITLE, LABEL, SMALL, NOTE = 10.0, 8.5, 7.0, 5.5
"""Type sizes in points."""
REFUSED = "////"
"""Hatching of what was measured and cannot be compared."""
_DARK = 0.6
"""Share of a scale beyond which the colours are dark enough for white type."""

# Okabe and Ito's colours, black last; the counts of colours, dashes and markers have no common
# divisor, so that 7 x 4 x 9 lines differ.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
BEFORE, AFTER = "0.82", "#0072B2"
"""Bars without and with the intervention: light and dark in grey print."""


def line_look(number: int) -> dict[str, Any]:
    """Colour, dashes and marker of a line; no two of the first 252 are alike."""
    return {
        "color": _COLOURS[number % len(_COLOURS)],
        "linestyle": _DASHES[number % len(_DASHES)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "markersize": 4,
        "linewidth": 1.2,
    }


@contextmanager
def settings(families: Sequence[str] = ("DejaVu Sans",)) -> Iterator[None]:
    """matplotlib's own defaults instead of the user's, so that equal data give equal files."""
    chosen = {
        key: value
        for key, value in matplotlib.rcParamsDefault.items()
        if not key.startswith(("backend", "interactive", "toolbar", "timezone", "savefig.dir"))
    }
    chosen |= {
        "font.family": list(families),
        "font.size": LABEL,
        "axes.titlesize": LABEL,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "hatch.linewidth": 0.5,
        # A `$` in the name of a model or a task is no formula.
        "text.parse_math": False,
        "svg.fonttype": "path",
        "svg.hashsalt": "lsn_eval",
        # Type 3 fonts are refused by many publishers.
        "pdf.fonttype": 42,
    }
    with matplotlib.rc_context(chosen):
        yield


def new_figure(width: float, height: float, title: str) -> Figure:
    """A figure of so many inches, its title at the top, drawn without a display."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    figure.set_label(title)
    return figure


def size_of(text: str, points: float) -> tuple[float, float]:
    """Width and height of a text in inches, in the fonts of the settings in force."""
    families = tuple(matplotlib.rcParams["font.family"])
    return _size_of(text, points, families)


@functools.lru_cache(maxsize=20_000)
def _size_of(text: str, points: float, families: tuple[str, ...]) -> tuple[float, float]:
    figure = Figure(figsize=(1, 1), dpi=100)
    renderer = FigureCanvasAgg(figure).get_renderer()
    box = Text(0, 0, text, fontsize=points, fontfamily=families, figure=figure).get_window_extent(
        renderer
    )
    return box.width / 100, box.height / 100


def widest(texts: Iterable[str], points: float) -> float:
    """Width of the widest of some texts, in inches."""
    return max((size_of(text, points)[0] for text in texts), default=0.0)


def shortened(names: Sequence[str], longest: int = 44) -> list[str]:
    """Names with the middle of long ones left out; those that thereby fall together are numbered.

    The start and the end are kept: a condition of several terms is told by them.
    """
    half = (longest - 1) // 2
    short = [name if len(name) <= longest else f"{name[:half]}…{name[-half:]}" for name in names]
    seen: dict[str, int] = {}
    for place, name in enumerate(short):
        if short.count(name) > 1 or name in seen:
            seen[name] = seen.get(name, 0) + 1
            short[place] = f"{name} ({seen[name]})"
    return short


def wrapped(lines: Iterable[str], width: float, points: float) -> list[str]:
    """Lines broken to fit a width in inches: at blanks and bars, and within longer words."""
    found: list[str] = []
    for line in lines:
        current = ""
        for piece in re.findall(r"[^ |]*[ |]?", line):
            if current and size_of((current + piece).rstrip(), points)[0] > width:
                found.append(current.rstrip())
                current = ""
            while size_of(piece.rstrip(), points)[0] > width and len(piece) > 1:
                fitting = _fitting(piece, width, points)
                found.append(piece[:fitting])
                piece = piece[fitting:]
            current += piece
        found.append(current.rstrip())
    return found


def _fitting(word: str, width: float, points: float) -> int:
    """How many of its letters fit a width; at least one."""
    low, high = 1, len(word) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if size_of(word[:middle], points)[0] <= width:
            low = middle
        else:
            high = middle - 1
    return low


LINE_HEIGHT = 1.45 / 72
"""Inches of a line of text per point of its size."""


class Notes:
    """Lines at the foot of a figure."""

    def __init__(self, lines: Iterable[str], width: float) -> None:
        self._lines = wrapped(lines, width - 0.3, NOTE)
        self.height = len(self._lines) * NOTE * LINE_HEIGHT + 0.15
        """In inches."""

    def write(self, figure: Figure) -> None:
        """Put them at the lower left."""
        width, height = figure.get_size_inches()
        figure.text(
            0.15 / width, 0.08 / height, "\n".join(self._lines), fontsize=NOTE, color="0.3",
            ha="left", va="bottom", linespacing=1.25, gid="notes",
        )  # fmt: skip


class Heading:
    """The title, in as many lines as it needs."""

    def __init__(self, title: str, width: float) -> None:
        self._lines = wrapped([title], width - 0.3, TITLE)
        self.height = len(self._lines) * TITLE * LINE_HEIGHT + 0.15
        """In inches."""

    def write(self, figure: Figure) -> None:
        """Put it at the upper left."""
        width, height = figure.get_size_inches()
        figure.text(
            0.15 / width, 1 - 0.08 / height, "\n".join(self._lines), fontsize=TITLE,
            ha="left", va="top", linespacing=1.25, gid="title",
        )  # fmt: skip


def percent(change: float) -> str:
    """A relative change in per cent with its sign, two decimals at most: +0.42%, −12.3%, +250%."""
    number = 100 * change
    if not math.isfinite(number):
        return "NaN"
    size = abs(number)
    if size >= 99_999.5:
        text = plain(size)
    else:
        text = f"{size:,.{0 if size >= 99.95 else 1 if size >= 9.995 else 2}f}"
    sign = "" if not text.strip("0.") else "−" if number < 0 else "+"
    return f"{sign}{text}%"


def signed(number: float) -> str:
    """A number with its sign and three digits at most; 0 has no sign."""
    if not math.isfinite(number):
        return "NaN"
    text = plain(abs(number))
    if not text.strip("0."):
        return "0"
    return ("−" if number < 0 else "+") + text


def plain(number: float) -> str:
    """A number with three digits at most."""
    if not math.isfinite(number):
        return "NaN"
    size = abs(number)
    if size == 0:
        return "0"
    if size < 0.0005:
        return f"{number:.0e}".replace("e-0", "e-").replace("-", "−")
    if size >= 99_999.5:
        return f"{number:.1e}".replace("e+0", "e").replace("e+", "e")
    digits = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3
    return f"{number:,.{digits}f}".replace("-", "−")


def signed_short(number: float) -> str:
    """A round number of an axis with its sign: +50, −0.02, 0."""
    return f"{number:+.6g}".replace("-", "−") if round(number, 12) else "0"


def ink(value: float, limit: float) -> str:
    """Type that can be read on a cell of the change colours."""
    return "white" if abs(value) > _DARK * limit else "black"


def percent_ticks(limit: float) -> list[float]:
    """Round relative changes whose log ratio is within the limit, about four a side."""
    sizes = [m * 10.0**e for e in range(-5, 12) for m in (1, 2, 5)]
    gains = [size for size in sizes if math.log1p(size) <= limit]
    losses = [
        -x for x in (*sizes[:12], 0.2, 0.5, 0.8, 0.9, 0.99, 0.999) if -math.log1p(-x) <= limit
    ]
    apart = limit / 4
    chosen = [0.0]
    for side in (sorted(gains, reverse=True), sorted(set(losses))):
        last: float | None = None
        for change in side:
            shift = math.log1p(change)
            if abs(shift) >= apart * 0.8 and (last is None or abs(shift - last) >= apart):
                chosen.append(change)
                last = shift
    return sorted(chosen)
