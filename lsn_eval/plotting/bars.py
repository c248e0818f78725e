"""A metric without and with the intervention, language by language."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from lsn_eval.comparing import Change, Draws, Panel
from lsn_eval.comparing.panels import own_language
from lsn_eval.errors import LsnError
from lsn_eval.plotting import style
from lsn_eval.plotting.lettering import Lettering, lettering
from lsn_eval.plotting.notes import UNTESTED, any_interval, foot, interventions, is_known
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.results.scale import shifted
from lsn_eval.wording import numbers

_BAR = 0.38
"""Width of a bar; two stand side by side in a unit."""
_HEIGHT = 1.5
"""Inches of a condition's axes."""
_NARROWEST = 7.4
"""Inches that the key takes."""
_WIDEST = 11.0
"""Inches that the axes of several conditions may take beside each other."""
_BEFORE: dict[str, Any] = {"facecolor": style.BEFORE, "edgecolor": "0.35", "linewidth": 0.5}
_AFTER: dict[str, Any] = {"facecolor": style.AFTER, "edgecolor": "black", "linewidth": 0.5}
_REFUSED: dict[str, Any] = {
    "facecolor": "white", "edgecolor": "0.45", "linewidth": 0.5, "hatch": style.REFUSED,
}  # fmt: skip
_CONTROLS: dict[str, Any] = {
    "marker": "D", "markersize": 4, "markerfacecolor": "white", "markeredgecolor": "black",
    "linestyle": "none",
}  # fmt: skip


def bars(
    panel: Panel,
    conditions: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    draws: Draws | None = None,
) -> Figure:
    """Baseline and condition beside each other in every language, one axes a condition.

    The whisker on the second bar is the interval of the change, drawn from the baseline; a diamond
    is the mean of the controls. A dashed ring stands above a bar that has no
    whisker where others have one. Hatched bars cannot be compared with the baseline.

    Args:
        panel: of `lsn_eval.comparing.compare`.
        conditions: those to draw; all but `none` without it.
        labels: names of languages by code.
        draws: how the intervals were made, for the note.

    Raises:
        LsnError: a condition that the panel does not have, or none to draw.
    """
    there = interventions(panel)
    drawn = list(dict.fromkeys(conditions or there))
    if unknown := [name for name in drawn if name not in there]:
        raise LsnError(
            f"{', '.join(unknown)} is not in {panel.title}; there are {', '.join(there)}"
        )
    with lettering(labels) as letters:
        return _figure(panel, drawn, letters, draws)


def _figure(
    panel: Panel, conditions: Sequence[str], letters: Lettering, draws: Draws | None
) -> Figure:
    count = len(panel.languages)
    each = max(count * (0.42 if count <= 12 else 0.3), 1.6)
    columns = max(1, min(len(conditions), int(_WIDEST // (each + 0.3))))
    if len(conditions) <= 4 and each > 2.2:
        columns = 1
    # One or two fill the width that title and key take anyway.
    each = max(each, (_NARROWEST - 1.05 - (columns - 1) * 0.3) / columns)
    rows = math.ceil(len(conditions) / columns)
    names = style.shortened([letters.name(code) for code in panel.languages], 30)
    type_ = style.LABEL if count <= 12 else style.SMALL
    turned = style.widest(names, type_) > each / count - 0.04
    named = (style.widest(names, type_) if turned else 0.17) + 0.12
    left, right, gap, head, key = 0.85, 0.2, 0.3, 0.3, 0.2
    width = max(left + columns * each + (columns - 1) * gap + right, _NARROWEST)
    changes = _changes(panel, conditions)
    marked = any_interval(changes)
    frame = style.Frame(panel.title, [*_notes(changes), *foot([panel], changes, draws)], width)
    figure = frame.figure(key + rows * (head + _HEIGHT + 0.06) + named + 0.1)
    top = frame.top(figure)
    limits = _limits(_changes(panel, [NO_CONDITION, *conditions]))
    for number, (condition, name) in enumerate(
        zip(conditions, style.shortened(conditions, max(24, int(each * 11))), strict=True)
    ):
        line, column = divmod(number, columns)
        y = top - key - (line + 1) * (head + _HEIGHT + 0.06) + 0.06
        axes = style.axes_at(figure, left + column * (each + gap), y, each, _HEIGHT)
        own = own_language(condition)
        _draw(figure, axes, panel, condition, own, marked)
        axes.set_title(letters.condition(name, own), fontsize=style.LABEL, loc="left", pad=3)
        axes.set_ylim(*limits)
        if column:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel(style.shortened([panel.metric], 26)[0], fontsize=style.SMALL)
        # Names stand below the last axes of a column alone.
        under = number + columns >= len(conditions)
        style.name_places(axes, names if under else [""] * count, type_, turned)
    handles = _handles(changes, any(own_language(c) in panel.languages for c in conditions))
    style.key(figure, handles, (left, top), ncols=len(handles), columnspacing=1.2, handlelength=1.4)
    return figure


def _changes(panel: Panel, conditions: Sequence[str]) -> list[Change]:
    return [c for name in conditions for x in panel.languages if (c := panel.change(name, x))]


def _notes(changes: Sequence[Change]) -> list[str]:
    lines = []
    if any_interval(changes):
        lines.append(
            "The whisker is the interval of the change from the baseline, drawn from the "
            "baseline's value; it is not the interval of the value itself."
        )
    if not all(map(is_known, changes)):
        lines.append("Hatched: measured, and not comparable with none.")
    return lines


def _moved(change: Change, shift: float) -> float:
    """The value that is so far from the baseline on the scale."""
    assert change.baseline is not None
    return shifted(change.baseline.value, shift, change.scale)


def _limits(changes: Sequence[Change]) -> tuple[float, float]:
    """From 0: the length of a bar is its value."""
    values = [0.0, *(change.row.value for change in changes)]
    for change in filter(is_known, changes):
        shifts = [*(change.interval or ()), *change.controls.values()]
        values += [_moved(change, shift) for shift in shifts]
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known), max(known)
    room = 0.08 * (high - low or 1.0)
    return low - room if low < 0 else 0.0, high + room


def _draw(
    figure: Figure, axes: Axes, panel: Panel, condition: str, own: str | None, marked: bool
) -> None:
    for place, language in enumerate(panel.languages):
        before, after = panel.change(NO_CONDITION, language), panel.change(condition, language)
        at = place + _BAR / 2
        if before is not None and before.row.usable:
            axes.bar(place - _BAR / 2, before.row.value, _BAR, **_BEFORE, gid="before")
        if after is None or not after.row.usable:
            axes.text(
                at, 0, "–", ha="center", va="bottom", fontsize=style.SMALL, color="0.4",
                gid="missing",
            )  # fmt: skip
            continue
        if not is_known(after):
            axes.bar(at, after.row.value, _BAR, **_REFUSED, gid="refused")
            continue
        axes.bar(at, after.row.value, _BAR, **_AFTER, gid="after")
        if after.interval is not None:
            low, high = (_moved(after, end) for end in after.interval)
            axes.vlines(
                at, low, high, color="black", linewidth=1.2, gid="interval",
                path_effects=[withStroke(linewidth=2.8, foreground="white")],
            )  # fmt: skip
        elif marked:
            # Above the bar: a diamond may lie on its top.
            above = ScaledTranslation(0, 7 / 72, figure.dpi_scale_trans)
            axes.scatter(
                [at], [after.row.value], s=30, c="white", zorder=4, clip_on=False,
                transform=axes.transData + above, **UNTESTED,
            )  # fmt: skip
        if after.controls:
            mean = sum(after.controls.values()) / len(after.controls)
            axes.plot(
                [at], [_moved(after, mean)], **_CONTROLS, markeredgewidth=0.8, gid="controls",
                zorder=4,
            )  # fmt: skip
    if own in panel.languages:
        place = panel.languages.index(own)
        axes.axvspan(place - 0.5, place + 0.5, color="0.93", zorder=0, linewidth=0, gid="own")
    axes.set_xlim(-0.5, len(panel.languages) - 0.5)
    axes.tick_params(axis="x", length=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.exact(value)))
    style.graph(axes, axis="y", color="0.85")


def _handles(changes: Sequence[Change], shaded: bool) -> list[Artist]:
    """Of the key."""
    handles: list[Artist] = [
        Patch(**_BEFORE, label="none (baseline)"),
        Patch(**_AFTER, label="condition"),
    ]
    if any_interval(changes):
        handles.append(Line2D([], [], color="black", linewidth=1.1, label="interval of the change"))
    if any(change.controls for change in changes):
        handles.append(Line2D([], [], **_CONTROLS, label="mean of the controls"))
    if shaded:
        handles.append(Patch(facecolor="0.93", label="the condition's language"))
    return handles
