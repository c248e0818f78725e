"""A metric against the dose of an intervention, a line for each language of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from lsn_eval.comparing import Change, Draws, Panel
from lsn_eval.errors import LsnError
from lsn_eval.plotting import style
from lsn_eval.plotting.doses import AXIS_NAMES, BASELINE_AT, By, Family, curves_by, varying
from lsn_eval.plotting.fonts import drawable
from lsn_eval.plotting.lettering import Lettering, lettering
from lsn_eval.plotting.notes import UNTESTED, any_interval, foot, is_untested
from lsn_eval.results.scale import shifted
from lsn_eval.wording import numbers

_AXES = (3.3, 2.4)
"""Inches of the axes of one family of conditions."""
_STEEP = 8.0
"""Ratio of perplexities from which their axis is logarithmic."""
_TICKS = 8
"""Doses that are written one by one below the axis."""
_CROWD = 12
"""Languages beyond which those that no condition is about are drawn alike."""
_FAINT: dict[str, Any] = {"color": "0.7", "linestyle": "-", "linewidth": 0.7}
_GREY_POINTS: dict[str, Any] = {"marker": "o", "color": "0.55", "linestyle": "none"}


def dose_curves(
    panels: Sequence[Panel],
    by: By | None = None,
    labels: Mapping[str, str] | None = None,
    draws: Draws | None = None,
    change: bool = False,
) -> Figure:
    """One axes for each family of conditions that differ in their dose alone, a line a language.

    Fine dots without markers are the baseline of each language, bands the interval of the change
    drawn from the baseline, grey points the controls on the language that the conditions are about,
    which has the thick line. Crosses cannot be compared with the baseline, dashed rings have no
    interval. Of more than twelve languages those that no condition is about are thin and grey.

    Args:
        panels: of one model, family of tasks and metric; several if several masks were used.
        by: the dose: the factor, the number set, the number added, or how many neurons are written;
            without it, what varies most.
        labels: names of languages by code.
        draws: how the intervals were made, for the note.
        change: draw the change (relative for perplexities) instead of the value.

    Raises:
        LsnError: panels of several metrics, or conditions without two such doses.
    """
    if len({(panel.model, panel.dtype, panel.family, panel.metric) for panel in panels}) != 1:
        raise LsnError(
            "panels of one model, task and metric were expected; these were given: "
            f"{'; '.join(panel.title for panel in panels) or 'none'}"
        )
    dose = by or varying(panels)
    shown = curves_by(panels, dose)
    first = panels[0]
    masks = {panel.mask for panel in panels if panel.mask != "none"}
    title = first.title if len(masks) < 2 else f"{first.title} and {len(masks) - 1} more"
    with lettering(labels) as letters:
        return _Drawing(panels, shown, dose, letters, change).draw(title, draws)


@dataclass
class _Drawing:
    panels: Sequence[Panel]
    families: Sequence[Family]
    by: By
    letters: Lettering
    change: bool

    def draw(self, title: str, draws: Draws | None) -> Figure:
        self.languages = list(dict.fromkeys(x for panel in self.panels for x in panel.languages))
        about = {family.own for family in self.families}
        crowded = len(self.languages) > _CROWD and about & {*self.languages}
        self.told = [x for x in self.languages if not crowded or x in about]
        self.looks = {x: style.line_look(number) for number, x in enumerate(self.told)}
        count = len(self.families)
        columns = min(count, 3)
        lines = math.ceil(count / columns)
        names = style.shortened([self.letters.name(code) for code in self.told], 30)
        left, gap, head = 0.8, 0.75, 0.3
        block = head + _AXES[1] + 0.5
        rows = max(int((lines * block - 0.5) / 0.165) - 5, 4)
        key_columns = math.ceil(len(names) / rows)
        key = 0.75 + key_columns * (style.widest([*names, "other languages"], style.SMALL) + 0.6)
        width = left + columns * _AXES[0] + (columns - 1) * gap + 0.15 + key
        frame = style.Frame(title, self._notes(draws), width)
        figure = frame.figure(lines * block)
        top = frame.top(figure) - head
        self.some_tested = any_interval(self._changes)
        drawn = []
        for number, family in enumerate(self.families):
            line, column = divmod(number, columns)
            x, y = left + column * (_AXES[0] + gap), top - line * block - _AXES[1]
            axes = style.axes_at(figure, x, y, *_AXES)
            self._draw_family(axes, family)
            drawn.append(axes)
            if not column:
                axes.set_ylabel(self._quantity(), fontsize=style.SMALL)
        # One scale for all: families are there to be held against each other.
        limits, steep = self._limits()
        for axes, family in zip(drawn, self.families, strict=True):
            self._scale(axes, family, steep)
            axes.set_ylim(*limits)
        style.key(
            figure, self._handles(names), (width - key + 0.1, top), ncols=key_columns,
            handlelength=3.2, title="language of the text", title_fontsize=style.SMALL,
            alignment="left",
        )  # fmt: skip
        return figure

    def _quantity(self) -> str:
        kind = "relative change of " if self._relative else "change of "
        return (kind if self.change else "") + style.shortened([self.panels[0].metric], 30)[0]

    @property
    def _relative(self) -> bool:
        return self.panels[0].scale == "log"

    @property
    def _changes(self) -> list[Change]:
        points = [points for family in self.families for points in family.points.values()]
        return [change for doses in points for change in doses.values()]

    def _notes(self, draws: Draws | None) -> list[str]:
        changes = self._changes
        marks = {
            "Bands: interval of the change from the baseline, drawn from its value.":
                any_interval(changes),
            "Crosses: measured, and not comparable with none.":
                any(change.shift is None for change in changes),
            "Grey points: controls on the language that the conditions are about.":
                any(change.controls for change in changes),
        }  # fmt: skip
        note = " ".join(text for text, shown in marks.items() if shown)
        return [*filter(None, [note]), *foot(self.panels, changes, draws)]

    def _height(self, change: Change, shift: float | None) -> float:
        """Where a shift from the baseline is drawn; without one, where the value is."""
        if change.baseline is None or shift is None:
            return math.nan if self.change else change.row.value
        if self.change:
            return 100 * math.expm1(shift) if self._relative else shift
        return shifted(change.baseline.value, shift, change.scale)

    def _draw_family(self, axes: Axes, family: Family) -> None:
        # The language that it is about lies on top.
        order = sorted(family.points, key=lambda language: language == family.own)
        for language in order:
            self._draw_language(axes, family, language, family.points[language])
        if self.change:
            axes.axhline(0, color="0.25", **style.UNTOUCHED, gid="baseline")
        name = style.shortened([family.name], 40)[0]
        axes.set_title(
            self.letters.condition(name, family.own), fontsize=style.LABEL, loc="left", pad=4
        )

    def _draw_language(
        self, axes: Axes, family: Family, language: str, points: Mapping[float, Change]
    ) -> None:
        faint = language not in self.looks or (
            len(self.told) < len(self.languages) and language != family.own
        )
        look = _FAINT if faint else self.looks[language]
        look = look | ({"linewidth": 2.2} if language == family.own else {})
        known = {d: c for d, c in sorted(points.items()) if c.shift is not None}
        curve = [(d, self._height(c, c.shift), c) for d, c in known.items()]
        heights = [(d, height) for d, height, _ in curve]
        bands = [
            (d, *(self._height(c, end) for end in c.interval)) for d, _, c in curve if c.interval
        ]
        baseline = next((c.baseline for c in known.values() if c.baseline is not None), None)
        at = BASELINE_AT.get(self.by)
        if baseline is not None and at is not None and at not in known:
            value = 0.0 if self.change else baseline.value
            heights = sorted([*heights, (at, value)])
            bands = sorted([*bands, (at, value, value)]) if bands else []
        if heights:
            axes.plot(
                *zip(*heights, strict=True), **look, gid=f"line {drawable(language)}", zorder=3
            )
        if faint:
            return
        if len(bands) > 1 and len(bands) == len(heights):
            doses, lows, highs = zip(*bands, strict=True)
            axes.fill_between(
                doses, lows, highs, color=look["color"], alpha=0.18, linewidth=0, gid="band",
                zorder=2,
            )  # fmt: skip
        else:
            for dose, low, high in bands:
                axes.vlines(dose, low, high, color=look["color"], linewidth=1, gid="band", zorder=2)
        untested = [(d, height) for d, height, c in curve if is_untested(c)]
        if untested and self.some_tested:
            x, y = zip(*untested, strict=True)
            axes.scatter(x, y, s=55, c="none", zorder=5, **UNTESTED)
        if baseline is not None and not self.change:
            axes.axhline(baseline.value, color=look["color"], **style.UNTOUCHED, gid="baseline")
        refused = [(d, c.row.value) for d, c in points.items() if c.shift is None]
        if refused and not self.change:
            axes.plot(
                *zip(*refused, strict=True), marker="x", color="0.4", linestyle="none",
                markersize=5, gid="refused",
            )  # fmt: skip
        if language == family.own or family.own not in family.points:
            controls = [
                (d, self._height(c, shift)) for d, _, c in curve for shift in c.controls.values()
            ]
            if controls:
                axes.plot(
                    *zip(*controls, strict=True), **_GREY_POINTS, markersize=3.2,
                    markeredgewidth=0.4, markeredgecolor="black", gid="controls", zorder=4,
                )  # fmt: skip

    def _limits(self) -> tuple[tuple[float, float], bool]:
        """Ends of the axis of values, and whether it is logarithmic."""
        heights = [0.0] if self.change else []
        for change in self._changes:
            shifts = [change.shift, *(change.interval or ()), *change.controls.values()]
            heights += [self._height(change, shift) for shift in shifts]
            if change.baseline is not None and not self.change:
                heights.append(change.baseline.value)
        known = [height for height in heights if math.isfinite(height)] or [0.0, 1.0]
        low, high = min(known), max(known)
        if self._relative and not self.change and low > 0 and high / low > _STEEP:
            return (low / 1.15, high * 1.15), True
        room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        return (low - room, high + room), False

    def _scale(self, axes: Axes, family: Family, steep: bool) -> None:
        doses = family.doses
        positive = [dose for dose in doses if dose > 0]
        if self.by == "neurons" and positive:
            # A mask without neurons for a language has a place on the axis, too: left of the rest.
            zero = {"linthresh": positive[0], "linscale": 0.3} if doses[0] == 0 else {}
            axes.set_xscale("symlog" if zero else "log", **zero)
            axes.xaxis.set_minor_locator(NullLocator())
        if (at := BASELINE_AT.get(self.by)) is not None:
            doses = sorted({*doses, at})
        if len(doses) <= _TICKS:
            axes.xaxis.set_major_locator(FixedLocator(doses))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda dose, _: numbers.exact(dose)))
        if steep:
            axes.set_yscale("log")
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        else:
            axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.yaxis.set_major_formatter(FuncFormatter(self._tick))
        style.graph(axes, color="0.9")
        axes.set_xlabel(AXIS_NAMES[self.by], fontsize=style.SMALL, labelpad=2)

    def _tick(self, value: float, _: int) -> str:
        if not self.change:
            return numbers.exact(value)
        return style.signed_change(value / 100 if self._relative else value, self._relative)

    def _handles(self, names: Sequence[str]) -> list[Artist]:
        """Of the key."""
        handles: list[Artist] = [
            Line2D([], [], label=name, **self.looks[language])
            for language, name in zip(self.told, names, strict=True)
        ]
        if len(self.told) < len(self.languages):
            handles.append(Line2D([], [], **_FAINT, label="other languages"))
        handles.append(Line2D([], [], color="0.25", **style.UNTOUCHED))
        if any(change.controls for change in self._changes):
            handles.append(Line2D([], [], **_GREY_POINTS, markersize=3, label="controls"))
        return handles
