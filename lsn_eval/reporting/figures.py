"""Heat maps of panels as images that a page holds in itself."""

from __future__ import annotations

from urllib.parse import quote

from lsn_eval.comparing import Draws, Panel
from lsn_eval.results.rows import NO_CONDITION

MOST_FIGURES = 12
"""On a page; the panels after that have tables alone."""
MOST_CONDITIONS = 120
"""In a figure: more are too small to be read on a page."""
LARGEST = 1_500_000
"""Characters of a drawing: beyond that it would make the page slow."""


def heat_map_address(panel: Panel, draws: Draws) -> str | None:
    """The `data:` address of a panel's heat map; None if nothing changed, or too much to be drawn.

    As an image no part of the drawing can run, load or style anything else.
    """
    if not moved(panel) or len(panel.conditions) > MOST_CONDITIONS:
        return None
    from lsn_eval.plotting import figure_svg, heat_map

    drawing = " ".join(figure_svg(heat_map(panel, draws=draws)).split())
    if len(drawing) > LARGEST:
        return None
    return "data:image/svg+xml;charset=utf-8," + quote(drawing, safe=" !$()*+,-./:;=?@_~")


def moved(panel: Panel) -> bool:
    """Whether any change is there to be drawn."""
    return any(
        change.shift
        for (condition, _), change in panel.changes.items()
        if condition in panel.conditions and condition != NO_CONDITION
    )
