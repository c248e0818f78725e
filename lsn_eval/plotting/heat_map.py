"""What every condition changed in every language, with controls and baseline beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from lsn_eval.comparing import Change, Draws, Panel
from lsn_eval.comparing.panels import growth, own_language
from lsn_eval.comparing.selectivity import largest
from lsn_eval.plotting import style
from lsn_eval.plotting.cells import CellSizes, colour_span
from lsn_eval.plotting.lettering import Lettering, lettering
from lsn_eval.plotting.notes import (
    UNTESTED,
    any_interval,
    foot,
    interventions,
    is_known,
    is_untested,
)
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.wording import numbers


def heat_map(
    panel: Panel, labels: Mapping[str, str] | None = None, draws: Draws | None = None
) -> Figure:
    """Conditions x languages: relative change for perplexities, difference for other metrics.

    Hatched cells hold a number that cannot be compared with the baseline; a small ring marks an
    interval that holds 0, a dashed one a change without an interval; a frame marks the language
    that the condition is about. Beside it stands the largest control on that language, below it the
    baseline.

    Args:
        panel: of `lsn_eval.comparing.compare`.
        labels: names of languages by code.
        draws: how the intervals were made, for the note.

    Raises:
        LsnError: the panel has no condition but the baseline.
    """
    conditions = interventions(panel)
    with lettering(labels) as letters:
        return _Drawing(panel, conditions, letters, draws).figure


class _Drawing:
    def __init__(
        self, panel: Panel, conditions: list[str], letters: Lettering, draws: Draws | None
    ) -> None:
        self.panel = panel
        self.rows = conditions
        self.own = [own_language(condition) for condition in self.rows]
        self.sizes = CellSizes.of(len(self.rows), len(panel.languages))
        self.type = min(style.LABEL, self.sizes.height * 72 * 0.8)
        self.row_names = list(map(letters.condition, style.shortened(self.rows), self.own))
        self.column_names = style.shortened([letters.name(code) for code in panel.languages], 30)
        self.largest = list(map(self._largest_control, self.rows, self.own))
        self.shown = [change for (row, _), change in panel.changes.items() if row in conditions]
        self.kinds = self._kinds()
        shifts = [change.shift for change in self.shown]
        self.limit = colour_span(panel, [*shifts, *(control for control, _ in self.largest)])
        self._lay_out(draws)

    def _largest_control(self, condition: str, own: str | None) -> tuple[float | None, int]:
        """The largest control shift on the row's own language, and how many there are; none for
        a condition about several languages."""
        change = self.panel.change(condition, own) if own is not None else None
        if change is None or not change.controls:
            return None, 0
        shown = largest(change.controls.values(), change.scale, condition)
        return shown, len(change.controls)

    def _lay_out(self, draws: Draws | None) -> None:
        """Everything is placed in inches: no name is too long and no table too large for that."""
        cell, rows, columns = self.sizes, len(self.rows), len(self.column_names)
        with_controls = any(count for _, count in self.largest)
        self.turned = style.widest(self.column_names, self.type) > cell.width - 0.08
        heads = (style.widest(self.column_names, self.type) if self.turned else 0.16) + 0.12
        left = max(style.widest(self.row_names, self.type), 0.9) + 0.25
        side = max(cell.width, 0.34)
        right = (0.2 + side + 0.55 if with_controls else 0.0) + 0.95
        body = left + columns * cell.width + right
        # The title of a panel of one language is wider than its cells.
        frame = style.Frame(f"change of {self.panel.title}", self._notes(draws), max(body, 4.6))
        top = max(heads + 0.28, 0.62 if with_controls else 0.0)
        figure = frame.figure(top + (rows + 1) * cell.height + 0.22)
        self.figure = figure
        foot_of_baseline = frame.below + 0.1
        below = foot_of_baseline + cell.height + 0.12
        width, height = columns * cell.width, rows * cell.height
        self._draw_changes(style.axes_at(figure, left, below, width, height, "changes"))
        under = left, foot_of_baseline, width, cell.height
        self._draw_baseline(style.axes_at(figure, *under, "baseline"))
        x = left + width + 0.2
        if with_controls:
            self._draw_controls(style.axes_at(figure, x, below, side, height, "controls"))
            x += side + 0.55
        # Beside few rows it is as high as the baseline's row, too, or its numbers would not fit.
        foot_of_scale = below if rows > 3 else foot_of_baseline
        height = below + height - foot_of_scale
        self._draw_scale(style.axes_at(figure, x, foot_of_scale, 0.13, height))

    def _notes(self, draws: Draws | None) -> list[str]:
        framed = any(own in self.panel.languages for own in self.own)
        marks = [
            "frame: the language that the condition is about" if framed else "",
            "ring: the interval holds 0" if "undecided" in self.kinds else "",
            "hatched: measured, and not comparable with none" if "refused" in self.kinds else "",
            "dot: not measured" if "missing" in self.kinds else "",
            "too many cells for numbers, which lsn-eval compare lists" * (not self.sizes.points),
        ]
        note = "; ".join(filter(None, marks))
        return [*([note + "."] if note else []), *foot([self.panel], self.shown, draws)]

    def _kinds(self) -> np.ndarray[Any, np.dtype[np.str_]]:
        """Of every cell [condition, language]."""
        # Where no cell has an interval the note says so, and no cell differs in that.
        tested = any_interval(self.shown)

        def kind(change: Change | None) -> str:
            if change is None:
                return "missing"
            if not is_known(change):
                return "refused"
            if tested and is_untested(change):
                return "untested"
            return "undecided" if change.undecided else "known"

        return np.array(
            [[kind(self.panel.change(row, x)) for x in self.panel.languages] for row in self.rows]
        )

    def _written(self, shift: float) -> str:
        relative = self.panel.scale == "log"
        text = f"{numbers.percent(growth(shift))}%" if relative else numbers.signed(shift)
        return style.true_minus(text)

    def _cells(self, axes: Axes, shifts: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        rows, columns = shifts.shape
        # Drawn as shapes and not as an image: sharp at every size, in SVG and PDF too.
        self.image = axes.pcolormesh(
            np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5, np.ma.masked_invalid(shifts),
            cmap=style.CHANGE, vmin=-self.limit, vmax=self.limit, edgecolors="white",
            linewidth=0.4, gid="cells",
        )  # fmt: skip
        axes.set_xlim(-0.5, columns - 0.5)
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_yticks([])
        axes.set_xticks([])
        axes.tick_params(length=0)
        if not self.sizes.points:
            return
        for row, column in np.ndindex(*shifts.shape):
            shift = float(shifts[row, column])
            if math.isfinite(shift):
                axes.text(
                    column, row, self._written(shift), ha="center", va="center_baseline",
                    fontsize=self.sizes.points, color=style.ink(shift, self.limit),
                )  # fmt: skip

    def _draw_changes(self, axes: Axes) -> None:
        languages = self.panel.languages
        shifts = [
            [(found := self.panel.change(row, text)) and found.shift for text in languages]
            for row in self.rows
        ]
        for row, column in np.argwhere(self.kinds == "refused"):
            axes.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5), 1, 1, facecolor="white", edgecolor="0.45",
                    hatch=style.REFUSED, linewidth=0, gid="refused",
                )
            )  # fmt: skip
        self._cells(axes, np.array(shifts, dtype=float))
        size = min(self.sizes.height * 72 * 0.2, 4.5) ** 2
        ring = {
            "marker": "o", "facecolors": "white", "edgecolors": "black", "linewidths": 0.6,
            "zorder": 4, "gid": "undecided",
        }  # fmt: skip
        for kind, right, up, look in (
            ("undecided", 0.36, 0.3, ring | {"s": size}),
            ("untested", 0.36, 0.3, {"s": 1.6 * size, "c": "white", "zorder": 4, **UNTESTED}),
            ("missing", 0, 0, {"s": 2, "color": "0.5", "gid": "missing"}),
        ):
            if kind in self.kinds:
                y, x = np.nonzero(self.kinds == kind)
                axes.scatter(x + right, y - up, **look)
        for row, own in enumerate(self.own):
            if own in languages:
                axes.add_patch(
                    Rectangle(
                        (languages.index(own) - 0.5, row - 0.5), 1, 1, fill=False,
                        edgecolor="black", linewidth=1.5, zorder=3, clip_on=False, gid="own",
                    )
                )  # fmt: skip
        axes.set_facecolor("0.95")
        axes.set_yticks(range(len(self.rows)), self.row_names, fontsize=self.type)
        axes.xaxis.tick_top()
        style.name_places(axes, self.column_names, self.type, self.turned)
        axes.xaxis.set_label_position("top")
        wide = len(languages) * self.sizes.width > 1.4
        told = "language of the text" if wide else "text"
        axes.set_xlabel(told, fontsize=style.SMALL, color="0.3", labelpad=6)

    def _draw_baseline(self, axes: Axes) -> None:
        axes.set_xlim(-0.5, len(self.panel.languages) - 0.5)
        axes.set_ylim(-0.5, 0.5)
        axes.set_xticks([])
        axes.set_yticks([0], ["none (value)"], fontsize=self.type)
        axes.tick_params(length=0)
        cells = [self.panel.change(NO_CONDITION, language) for language in self.panel.languages]
        texts = [style.true_minus(numbers.plain(c.row.value)) if c else "–" for c in cells]
        points = self.sizes.points or 5.0
        room = self.sizes.width - 0.05
        turned = 90 if style.widest(texts, points) > room and not self.sizes.points else 0
        points = points if turned else min(points, points * room / style.widest(texts, points))
        for column, text in enumerate(texts):
            axes.text(
                column, 0, text, ha="center", va="center", fontsize=points if not turned else 3.5,
                rotation=turned,
            )  # fmt: skip

    def _draw_controls(self, axes: Axes) -> None:
        self._cells(axes, np.array([[shift] for shift, _ in self.largest], dtype=float))
        axes.set_facecolor("0.95")
        axes.yaxis.tick_right()
        counts = [f"of {count}" if count else "–" for _, count in self.largest]
        axes.set_yticks(
            range(len(counts)), counts, fontsize=min(style.SMALL, self.type), color="0.3"
        )
        axes.set_title("controls:\nlargest on\nown text", fontsize=style.SMALL, pad=4)

    def _draw_scale(self, axes: Axes) -> None:
        bar = self.figure.colorbar(self.image, cax=axes)
        bar.outline.set_linewidth(0.6)
        axes.tick_params(labelsize=style.SMALL, length=2)
        relative = self.panel.scale == "log"
        bar.locator = (
            FixedLocator([math.log1p(change) for change in style.percent_ticks(self.limit)])
            if relative
            else MaxNLocator(nbins=6, symmetric=True)
        )
        bar.formatter = FuncFormatter(
            lambda shift, _: style.signed_change(math.expm1(shift) if relative else shift, relative)
        )
        title = "relative\nchange" if relative else "difference"
        axes.set_title(title, fontsize=style.SMALL, pad=4)
        bar.update_ticks()
