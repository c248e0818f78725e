"""Languages of answers as stacked bars: by condition, or by dose, where it shows which language
takes over as a language's neurons are switched off."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from lsn_eval.comparing import Draws, Panel
from lsn_eval.comparing.pairs import answer_counts
from lsn_eval.errors import LsnError
from lsn_eval.plotting import style
from lsn_eval.plotting.doses import AXIS_NAMES, BASELINE_AT, families
from lsn_eval.plotting.lettering import Lettering, lettering
from lsn_eval.plotting.notes import foot
from lsn_eval.results.rows import NO_CONDITION

_HEIGHT = 1.5
"""Inches of an axes."""
_BAR, _ROOM, _GAP, _SIDE = 0.34, 2.9, 0.75, 0.7
"""Inches of a bar, of the narrowest axes, between two, and left of them."""
_MOST = 9
"""Languages that have a look of their own; the others are one."""
_OTHERS = "other"
_HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "++", "oo", "||||")

Bars = list[tuple[str, Counter[str]]]
"""What stands below a bar, and answers by language."""


def answer_bars(
    panel: Panel, labels: Mapping[str, str] | None = None, draws: Draws | None = None
) -> Figure:
    """Shares of the languages of answers.

    Where conditions differ in their dose alone there is an axes for each such family, of text in
    the language that it is about, a bar a dose from none to the strongest; otherwise an axes for
    each language of text, a bar a condition.

    Args:
        panel: of language accuracy, with logged answers.
        labels: names of languages by code.
        draws: as of the other figures; no interval is drawn.

    Raises:
        LsnError: there are no logged answers, or another metric was given.
    """
    counts = {(condition, asked): of for condition, asked, of in answer_counts(panel)}
    if not counts:
        raise LsnError(
            f"{panel.title}: languages of answers are of language accuracy with logged answers "
            "(--log_samples); there are none"
        )
    found = _doses(panel, counts) or _conditions(panel, counts)
    with lettering(labels) as letters:
        return _figure(panel, found, letters)


def _doses(panel: Panel, counts: Mapping[tuple[str, str], Counter[str]]) -> dict[str, Bars]:
    """By family of doses, weakest first."""
    found = {}
    for by in AXIS_NAMES:
        for family in families([panel], by) if by != "neurons" else ():
            own, at = family.own or "", BASELINE_AT.get(by)
            points = family.points.get(own, {})
            bars: dict[float, Counter[str]] = {
                dose: counts[change.row.condition, own]
                for dose, change in points.items()
                if (change.row.condition, own) in counts
            }
            if at is not None and (NO_CONDITION, own) in counts:
                bars.setdefault(at, counts[NO_CONDITION, own])
            # Zero alone is no series, whatever it could be part of.
            if len(bars) > (at is not None) + 1 and any(points):
                order = sorted(bars, reverse=by == "scale")
                title = f"{family.name}, asked in {own}: {AXIS_NAMES[by]}"
                found[title] = [(f"{dose:g}", bars[dose]) for dose in order]
    return found


def _conditions(panel: Panel, counts: Mapping[tuple[str, str], Counter[str]]) -> dict[str, Bars]:
    """By language of text."""
    return {
        f"asked in {asked}": [
            (condition, counts[condition, asked])
            for condition in panel.conditions
            if (condition, asked) in counts
        ]
        for asked in panel.languages
        if any((condition, asked) in counts for condition in panel.conditions)
    }


def _figure(panel: Panel, found: Mapping[str, Bars], letters: Lettering) -> Figure:
    total: Counter[str] = Counter()
    for bars in found.values():
        for _, counts in bars:
            total += counts
    shown = [x for x in panel.languages if x in total][:_MOST]
    shown += [x for x, _ in total.most_common() if x not in shown][: _MOST - len(shown)]
    looks = {
        language: {**style.line_look(n), "hatch": _HATCHES[n]} for n, language in enumerate(shown)
    }
    several = max(len(bars) for bars in found.values())
    each = max(_ROOM, several * _BAR)
    columns = max(1, min(len(found), int(9 // (each + _GAP))))
    rows = math.ceil(len(found) / columns)
    names = [name for bars in found.values() for name, _ in bars]
    below = style.widest(style.shortened(names, 30), style.SMALL)
    turned = below > each / several - 0.06
    under = (below if turned else 0.17) + 0.15
    key = [letters.name(language) for language in shown]
    key += [_OTHERS] if len(total) > len(shown) else []
    side = style.widest([*key, "language of answers"], style.SMALL) + 0.7
    width = _SIDE + columns * each + (columns - 1) * _GAP + side
    title = f"languages of answers, {panel.title.removeprefix(panel.metric + ' of ')}"
    frame = style.Frame(title, foot([panel], [], None), width)
    block = 0.3 + _HEIGHT + under
    figure = frame.figure(rows * block + 0.1)
    top = frame.top(figure)
    for number, (name, bars) in enumerate(found.items()):
        line, column = divmod(number, columns)
        x, y = _SIDE + column * (each + _GAP), top - line * block - 0.3 - _HEIGHT
        axes = style.axes_at(figure, x, y, each, _HEIGHT)
        _draw(axes, bars, looks)
        axes.set_title(style.shortened([name], 60)[0], fontsize=style.SMALL, loc="left", pad=3)
        below_bars = style.shortened([what for what, _ in bars], 30)
        style.name_places(axes, below_bars, style.SMALL, turned)
        if not column:
            axes.set_ylabel("share of answers", fontsize=style.SMALL)
    handles = [
        Patch(**_filled(looks.get(language)), label=label)
        for language, label in zip([*shown, _OTHERS], key, strict=False)
    ]
    style.key(
        figure, handles, (width - side + 0.2, top), title="language of answers",
        title_fontsize=style.SMALL, alignment="left",
    )  # fmt: skip
    return figure


def _filled(look: Mapping[str, Any] | None) -> dict[str, Any]:
    """Of a bar; grey of all other languages."""
    colour, hatch = (look["color"], look["hatch"]) if look else ("0.85", "")
    return {"facecolor": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.4}


def _draw(axes: Axes, bars: Bars, looks: Mapping[str, Mapping[str, Any]]) -> None:
    for place, (_, counts) in enumerate(bars):
        done = 0.0
        others = counts.total() - sum(counts[language] for language in looks)
        for language, number in [*((x, counts[x]) for x in looks), (_OTHERS, others)]:
            if share := number / counts.total():
                axes.bar(
                    place, share, 0.8, bottom=done, **_filled(looks.get(language)), gid=language
                )
                done += share
    axes.set_xlim(-0.6, len(bars) - 0.4)
    axes.set_ylim(0, 1)
    style.graph(axes, axis="y", color="0.85")
    axes.tick_params(axis="x", length=0)
