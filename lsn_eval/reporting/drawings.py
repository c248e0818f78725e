"""Figures of a page, as images: no part of a drawing can run, load or style anything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from lsn_eval.comparing import Draws, Panel, dose_series
from lsn_eval.errors import LsnError
from lsn_eval.results.run_files import RunFile
from lsn_eval.results.settings import mapping, model_arguments

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CONDITIONS = 120
"""In a figure: more are too small to be read on a page."""
LARGEST = 1_500_000
"""Characters of a drawing: beyond that it would make the page slow."""


@dataclass(frozen=True)
class Drawing:
    """An image with its words."""

    address: str
    """`data:`"""
    caption: str


def heat_map_of(panel: Panel, draws: Draws) -> Drawing | None:
    """None if nothing changed, or too much to be drawn."""
    if not moved(panel) or len(panel.conditions) > MOST_CONDITIONS:
        return None
    from lsn_eval.plotting import heat_map

    told = "A frame marks the language that a condition is about."
    return _drawing(heat_map(panel, draws=draws), told)


def dose_curves_of(panels: Sequence[Panel], draws: Draws) -> Drawing | None:
    """Of panels that differ in their mask alone; None where no doses are."""
    doses = any(map(_has_doses, panels))
    if not (doses or len(panels) > 1) or len(panels[0].conditions) > MOST_CONDITIONS:
        return None
    from lsn_eval.plotting import dose_curves

    try:
        figure = dose_curves(panels, draws=draws)
    except LsnError:  # masks of one size, or of several kinds
        return None
    return _drawing(figure, "The same by dose.")


def fallback_of(panel: Panel) -> Drawing | None:
    """Which languages take over as one is switched off; None without doses or logged answers."""
    if not _has_doses(panel) or len(panel.conditions) > MOST_CONDITIONS:
        return None
    from lsn_eval.plotting import answer_bars

    try:
        figure = answer_bars(panel)
    except LsnError:  # another metric, no answers, or answers that contradict it
        return None
    return _drawing(figure, "Languages of the answers by dose.")


def _has_doses(panel: Panel) -> bool:
    return any(dose_series(panel.conditions).values())


def layers_of(runs: Sequence[RunFile]) -> tuple[list[Drawing], list[str]]:
    """Neurons per layer of every mask, and which masks are not there any more.

    A mask is read from where the results say it was, and is drawn only if it is still the same.
    """
    places: dict[str, str] = {}
    for run in runs:
        digest = mapping(run.record.get("mask")).get("digest")
        path = model_arguments(run.config).get("mask")
        if isinstance(digest, str) and isinstance(path, str):
            places.setdefault(digest, path)
    drawn, lacking = [], []
    for digest, path in places.items():
        from lsn_eval.masks.mask import NeuronMask
        from lsn_eval.plotting import layer_map

        try:
            mask = NeuronMask.load(path)
        except (LsnError, OSError):
            mask = None
        if mask is None or mask.digest != digest:
            lacking.append(path)
        elif drawing := _drawing(layer_map(mask), f"Neurons of each language per layer, {path}."):
            drawn.append(drawing)
    return drawn, lacking


def moved(panel: Panel) -> bool:
    """Whether any change is there to be drawn."""
    return any(
        change.shift for (name, _), change in panel.changes.items() if name in panel.conditions
    )


def _drawing(figure: Figure, caption: str) -> Drawing | None:
    """None of a figure that is too large."""
    from lsn_eval.plotting import figure_svg

    drawing = " ".join(figure_svg(figure).split())
    if len(drawing) > LARGEST:
        return None
    address = "data:image/svg+xml;charset=utf-8," + quote(drawing, safe=" !$()*+,-./:;=?@_~")
    return Drawing(address, caption)
