"""What every figure has in common: colours, type sizes, sizes in inches, and the notes below it."""

from __future__ import annotations

import bisect
import functools
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from lsn_eval.plotting.fonts import BASE, drawable
from lsn_eval.wording import numbers

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
_DASHES: tuple[Any, ...] = ("-", (0, (7, 2)), (0, (3, 1, 3, 3)), (0, (7, 1.5, 1.5, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
UNTOUCHED: dict[str, Any] = {"linestyle": (0, (1, 2)), "linewidth": 0.9, "label": "none (baseline)"}
"""A baseline: finely dotted and without markers, as no line of a language is."""
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
def settings(families: Sequence[str] = (BASE,)) -> Iterator[None]:
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


def width_of(text: str, points: float) -> float:
    """Width of a text in inches, in the fonts of the settings in force."""
    return _width_of(text, points, tuple(matplotlib.rcParams["font.family"]))


@functools.lru_cache(maxsize=20_000)
def _width_of(text: str, points: float, families: tuple[str, ...]) -> float:
    figure, renderer = _ruler()
    written = Text(0, 0, text, fontsize=points, fontfamily=families, figure=figure)
    return float(written.get_window_extent(renderer).width) / figure.dpi


@functools.cache
def _ruler() -> tuple[Figure, Any]:
    """A figure for measuring: one is enough, and making one takes time."""
    figure = Figure(figsize=(1, 1), dpi=100)
    return figure, FigureCanvasAgg(figure).get_renderer()


def widest(texts: Iterable[str], points: float) -> float:
    """Width of the widest of some texts, in inches."""
    return max((width_of(text, points) for text in texts), default=0.0)


def shortened(names: Sequence[str], longest: int = 44) -> list[str]:
    """Names with the middle of long ones left out; those that thereby fall together are numbered.

    The start and the end are kept: a condition of several terms is told by them.
    """
    half = (longest - 1) // 2
    names = [drawable(name) for name in names]
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
    for line in map(drawable, lines):
        current, taken = "", 0.0
        for piece in re.findall(r"[^ |]*[ |]?", line):
            # Words come again and are measured once; lines only where their sum does not decide.
            taken += width_of(f"{piece}.", points) - width_of(".", points)
            wide = taken > width
            if current and abs(taken - width) < 0.1 * width:
                wide = width_of((current + piece).rstrip(), points) > width
            if current and wide:
                found.append(current.rstrip())
                current, taken = "", width_of(f"{piece}.", points) - width_of(".", points)
            while width_of(piece.rstrip(), points) > width and len(piece) > 1:
                fitting = _fitting(piece, width, points)
                found.append(piece[:fitting])
                piece = piece[fitting:]
            current += piece
        found.append(current.rstrip())
    return found


def _fitting(word: str, width: float, points: float) -> int:
    """How many of its letters fit a width; at least one."""
    more = range(2, len(word))
    return 1 + bisect.bisect_right(more, width, key=lambda count: width_of(word[:count], points))


_NOTEBOOK_DOTS = 90
"""An inch: a heat map then fits the width of a page."""

LINE_HEIGHT = 1.45 / 72
"""Inches of a line of text per point of its size."""


class ShownFigure(Figure):
    """A figure that a notebook shows, also where pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with settings():
            self.savefig(buffer, format="png", dpi=_NOTEBOOK_DOTS)
        return buffer.getvalue()


class Frame:
    """What stands above and below a drawing: its title, and notes in small type."""

    def __init__(self, title: str, notes: Iterable[str], width: float) -> None:
        self.width = width
        """In inches, as everything here."""
        self._name = drawable(title)
        self._title = wrapped([title], width - 0.3, TITLE)
        self._notes = wrapped(notes, width - 0.3, NOTE)
        self.above = len(self._title) * TITLE * LINE_HEIGHT + 0.15
        self.below = len(self._notes) * NOTE * LINE_HEIGHT + 0.15

    def top(self, figure: Figure) -> float:
        """How high the drawing reaches."""
        return float(figure.get_size_inches()[1]) - self.above

    def figure(self, height: float) -> Figure:
        """A figure with room of this height between both, drawn without a display."""
        whole = self.above + height + self.below
        figure = ShownFigure(figsize=(self.width, whole))
        FigureCanvasAgg(figure)
        figure.set_label(self._name)
        left, margin = 0.15 / self.width, 0.08 / whole
        look: dict[str, Any] = {"ha": "left", "linespacing": 1.25}
        title, notes = "\n".join(self._title), "\n".join(self._notes)
        figure.text(left, 1 - margin, title, gid="title", fontsize=TITLE, va="top", **look)
        figure.text(
            left, margin, notes, gid="notes", fontsize=NOTE, va="bottom", color="0.3", **look
        )
        return figure


def axes_at(
    figure: Figure, x: float, y: float, width: float, height: float, label: str = ""
) -> Axes:
    """Axes with their lower left corner there, in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((x / across, y / up, width / across, height / up), label=label)


def name_places(axes: Axes, names: Sequence[str], points: float, turned: bool) -> None:
    """Names below or above the places 0, 1, 2 and so on."""
    axes.set_xticks(range(len(names)), names, fontsize=points, rotation=90 if turned else 0)


def graph(axes: Axes, **grid: Any) -> None:
    """The look of axes that hold marks and no cells."""
    axes.tick_params(labelsize=SMALL)
    axes.grid(linewidth=0.4, **grid)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def key(
    figure: Figure, handles: Sequence[Artist], corner: tuple[float, float], **look: Any
) -> None:
    """A legend without a frame, with its upper left corner there, in inches."""
    x, y = corner / figure.get_size_inches()
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(x, y), fontsize=SMALL, frameon=False,
        borderpad=0, borderaxespad=0, **look,
    )  # fmt: skip


def true_minus(text: str) -> str:
    """A number with the sign that is as wide as a plus."""
    return text.replace("-", "−")


def signed_change(change: float, relative: bool) -> str:
    """A round number of an axis with its sign: +50%, −0.02, 0."""
    number = round(100 * change if relative else change, 12)
    sign = "+" if number > 0 else ""
    return true_minus(f"{sign}{numbers.exact(number or 0)}{'%' * relative}")


def ink(value: float, limit: float) -> str:
    """Type that can be read on a cell of the change colours."""
    return "white" if abs(value) > _DARK * limit else "black"


def percent_ticks(limit: float) -> list[float]:
    """Round relative changes whose log ratio is within the limit, about four a side."""
    gains = [m * 10.0**e for e in range(-5, 12) for m in (1, 2, 5)]
    losses = {-x for x in (*gains[:12], 0.2, 0.5, 0.8, 0.9, 0.99, 0.999)}
    apart = limit / 4
    chosen = [0.0]
    for side in (reversed(gains), sorted(losses)):
        last = math.inf
        for change in side:
            shift = math.log1p(change)
            if apart * 0.8 <= abs(shift) <= limit and abs(shift - last) >= apart:
                chosen.append(change)
                last = shift
    return sorted(chosen)
