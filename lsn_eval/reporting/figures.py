"""Figures of panels as images that a page holds in itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from lsn_eval.comparing import Draws, Panel
from lsn_eval.results.rows import NO_CONDITION

MOST_FIGURES = 12
"""On a page; the panels after that have tables alone."""
MOST_CONDITIONS = 120
"""In a figure: more are too small to be read on a page."""
MOST_BARS = 8
"""Conditions that are drawn as bars, too."""
LARGEST = 1_500_000
"""Characters of a drawing: beyond that it would make the page slow."""


@dataclass(frozen=True)
class ReportFigure:
    """A drawing with its words."""

    source: str
    """`data:` address. As an image no part of the drawing can run, load or style anything else."""
    alt: str
    caption: str


def figures(panel: Panel, draws: Draws, told: Sequence[str]) -> list[ReportFigure]:
    """Figures of one panel; none if nothing changed, or too much to be drawn.

    Args:
        told: sentences of the verdict, which the alternative text repeats.
    """
    from lsn_eval.plotting import bars, figure_svg, heat_map

    changed = [condition for condition in panel.conditions if condition != NO_CONDITION]
    if not moved(panel) or len(changed) > MOST_CONDITIONS:
        return []
    shape = f"{_count(len(changed), 'condition')} by {_count(len(panel.languages), 'language')}"
    drawn = [
        (
            heat_map(panel, draws=draws),
            f"Heat map of {shape}: change of {panel.title}. {' '.join(told)}",
            f"Change of {panel.title}, {shape}. The numbers are in the tables above.",
        )
    ]
    if len(changed) <= MOST_BARS:
        drawn.append(
            (
                bars(panel, draws=draws),
                f"Bars: {panel.title}, without and with each condition. {' '.join(told)}",
                f"{panel.title}, without and with each condition.",
            )
        )
    drawings = [(figure_svg(figure), alt, caption) for figure, alt, caption in drawn]
    return [
        ReportFigure(_address(drawing), alt, caption)
        for drawing, alt, caption in drawings
        if len(drawing) <= LARGEST
    ]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def moved(panel: Panel) -> bool:
    """Whether any change is there to be drawn."""
    return any(
        change.shift
        for (condition, _), change in panel.changes.items()
        if condition in panel.conditions and condition != NO_CONDITION
    )


def _address(drawing: str) -> str:
    line = " ".join(drawing.split())
    return "data:image/svg+xml;charset=utf-8," + quote(line, safe=" !$()*+,-./:;=?@_~")
