"""Tables of one panel, conditions x languages: values, or changes since `none`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lsn_eval.comparing import Change, Draws, Panel
from lsn_eval.comparing.panels import Mark, growth, shift_writer
from lsn_eval.comparing.selectivity import largest
from lsn_eval.errors import LsnError
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.tables.table import Cell, Table
from lsn_eval.wording.lists import counted
from lsn_eval.wording.numbers import interval, p_value, percent, plain, signed, span

Show = Literal["value", "difference", "relative", "ratio", "ppxc"]
SHOWN: dict[Show, str] = {
    "value": "value",
    "difference": "change (difference from none)",
    "relative": "relative change from none, %",
    "ratio": "ratio to none",
    "ppxc": "PPXC, perplexity minus that under none (Mondal et al. 2025)",
}


def parse_show(names: Sequence[str]) -> tuple[Show, ...]:
    """What tables are to show.

    Raises:
        LsnError: no such view.
    """
    for name in names:
        if name not in SHOWN:
            raise LsnError(f"{name!r} cannot be shown; there are {', '.join(SHOWN)}")
    return tuple(known for name in names for known in SHOWN if known == name)


def default_show(panel: Panel) -> Show:
    """Relative changes of perplexities, differences of the rest; values without a condition."""
    if set(panel.conditions) <= {NO_CONDITION}:
        return "value"
    return "relative" if panel.scale == "log" else "difference"


def change_table(
    panel: Panel,
    draws: Draws,
    show: Show | None = None,
    *,
    all_controls: bool = False,
    intervals: bool = False,
) -> Table:
    """Conditions x languages, with the range of the controls below each condition.

    Args:
        show: what the cells hold; without it `default_show`.
        all_controls: every control in a row of its own.
        intervals: beside the change, its interval.

    Raises:
        LsnError: PPXC of a metric that is no perplexity.
    """
    view = _View(panel, draws, show or default_show(panel), intervals)
    if view.show == "ppxc" and panel.scale != "log":
        raise LsnError(f"PPXC is a change of perplexity; {panel.metric} is none")
    rows = []
    for condition in panel.conditions:
        if condition == NO_CONDITION and view.show != "value":
            continue
        rows.append(view.row(condition))
        controls = panel.controls.get(condition, ())
        if all_controls:
            rows += [view.row(control) for control in controls]
        elif controls:
            rows.append(view.row_of_controls(controls))
    if all_controls:
        rows += [view.row(control, f"{control} (control)") for control in panel.lone_controls]
    if view.show != "value" and NO_CONDITION in panel.conditions:
        rows.append(replace(view, show="value").row(NO_CONDITION, "(none)"))
    return Table(
        title=f"{panel.title}: {SHOWN[view.show]}",
        columns=("condition", *panel.languages, *(["mean"] if view.has_mean else [])),
        rows=tuple(rows),
        notes=tuple(view.notes(rows)),
        signatures=tuple(signatures(panel, panel.conditions)),
    )


@dataclass(frozen=True)
class _View:
    """What of a panel is shown."""

    panel: Panel
    draws: Draws
    show: Show
    intervals: bool

    @property
    def has_mean(self) -> bool:
        return len(self.panel.languages) > 1

    def row(self, condition: str, name: str = "") -> tuple[Cell, ...]:
        cells = [self.cell(self.panel.change(condition, x)) for x in self.panel.languages]
        mean = [self.mean(condition)] if self.has_mean else []
        return (Cell(name or condition), *cells, *mean)

    def cell(self, change: Change | None) -> Cell:
        """One number, its mark, and in words what is to be known of it."""
        if change is None:
            return Cell("", detail="not measured")
        row, details = change.row, detail(change, self.draws)
        if self.show == "value":
            error = f" ± {plain(row.stderr)}" if row.stderr is not None else ""
            mark: Mark = "contradicted" if change.contradicted else ""
            if change.incomparable or not row.usable:
                mark = "refused"
            return Cell(plain(row.value) + error, row.value if row.usable else None, mark, details)
        amount = _amount(change, self.show)
        if amount is None:
            return Cell("", mark="refused", detail="; ".join(change.obstacles) or "no ratio to 0")
        text = _written(amount, self.show)
        if self.intervals and (ends := _ends(change, self.show)):
            text += f" {interval(ends, functools.partial(_written, show=self.show))}"
        return Cell(text, amount, change.mark, details)

    def mean(self, condition: str) -> Cell:
        """Over the languages, and only if every one of them is there and comparable."""
        panel, show = self.panel, self.show
        known = [change for x in panel.languages if (change := panel.change(condition, x))]
        number, refused = None, "a language is not comparable with none"
        contradicted = panel.contradicted(condition)
        if len(known) < len(panel.languages):
            refused = "a language is missing"
        elif panel.uneven:
            refused = f"measured with {'; '.join(panel.uneven)}"
        elif show == "value":
            number, refused = (
                panel.mean_value(condition),
                "a language is not comparable, or no number",
            )
            contradicted = any(change.contradicted for change in known)
        elif (shift := panel.mean_shift(condition)) is not None:
            amounts = [amount for x in known if (amount := _amount(x, show)) is not None]
            if len(amounts) == len(known):
                number = sum(amounts) / len(amounts)
                if self.geometric:
                    number = growth(shift) + (show == "ratio")
        if number is None:
            return Cell("", mark="refused", detail=refused)
        return Cell(_written(number, show), number, "contradicted" if contradicted else "")

    @property
    def geometric(self) -> bool:
        """Whether means are."""
        return self.panel.scale == "log" and self.show not in ("ppxc", "difference")

    def row_of_controls(self, names: Sequence[str]) -> tuple[Cell, ...]:
        """From the smallest to the largest of the controls, language by language."""
        cells = []
        for language in self.panel.languages:
            changes = [change for name in names if (change := self.panel.change(name, language))]
            amounts = [_amount(change, self.show) for change in changes]
            known = sorted(x for x in amounts if x is not None and math.isfinite(x))
            text = span(known, functools.partial(_written, show=self.show))
            if 0 < len(known) < len(names):
                text += f" ({len(known)})"
            # A control that was measured and left out of the span must not go unseen.
            mark: Mark = "refused" if len(known) < len(changes) else ""
            most = largest(known, self.panel.scale, names[0])
            cells.append(Cell(text, most, mark, counted(len(known), "control")))
        label = Cell(f"  {counted(len(names), 'control')}", detail=", ".join(names))
        return (label, *cells, *([Cell("")] if self.has_mean else []))

    def notes(self, rows: Sequence[Sequence[Cell]]) -> list[str]:
        """What signs and rows mean, as far as they are there, and the panel's own remarks."""
        panel, notes = self.panel, legend(rows, self.draws, self.show)
        if self.show != "value":
            cells = [change for (c, _), change in panel.changes.items() if c != NO_CONDITION]
            if any(change.interval is None and change.shift is not None for change in cells):
                notes.append("numbers without logged samples have neither interval nor test")
            if NO_CONDITION in panel.conditions:
                notes.append("(none): the value without intervention")
        if any(row[0].text.startswith("  ") for row in rows):
            notes.append(
                "controls: from the smallest to the largest of as many random neurons, language by "
                "language; in parentheses how many, where not all were measured"
            )
        if self.has_mean and not panel.uneven:
            kind = "geometric" if self.geometric else "arithmetic"
            notes.append(f"mean: {kind}, over the languages, not tested")
        return [*notes, *panel.notes]


def _amount(change: Change, show: Show) -> float | None:
    if show == "value":
        return None if change.incomparable else change.row.value
    if show in ("difference", "ppxc"):
        return change.difference
    return change.relative if show == "relative" else change.ratio


def _ends(change: Change, show: Show) -> tuple[float, float] | None:
    """The interval in what is shown. Of a perplexity's difference or ratio it is the interval of
    the log ratio, carried over with the baseline as it was measured."""
    if change.interval is None or change.baseline is None:
        return None
    if show == "relative":
        return change.relative_interval
    low, high = change.interval
    if change.scale == "linear":
        return change.interval if show != "ratio" else None
    if show == "ratio":
        return growth(low) + 1, growth(high) + 1
    return change.baseline.value * growth(low), change.baseline.value * growth(high)


def _written(amount: float, show: Show) -> str:
    if show == "relative":
        return percent(amount)
    return plain(amount) if show in ("value", "ratio") else signed(amount)


def detail(change: Change, draws: Draws) -> str:
    """Interval, test and controls in one line."""
    parts = [f"{plain(change.row.value)} after {plain(change.baseline.value)}"] if (
        change.baseline
    ) else []  # fmt: skip
    if change.interval is not None:
        ends = interval(change.interval, shift_writer(change.scale))
        parts.append(f"{draws.level:.0%} interval {ends}")
    if change.p is not None:
        holm = "" if change.p_holm is None else f", Holm {p_value(change.p_holm)}"
        parts.append(f"p = {p_value(change.p)}{holm} over {change.documents} documents")
    if change.controls and change.control_p is not None:
        reach = span(list(change.controls.values()), shift_writer(change.scale))
        many = counted(len(change.controls), "control")
        parts.append(f"{many} {reach}, rank p = {p_value(change.control_p)}")
    return "; ".join([*parts, *change.obstacles, *change.row.warnings])


def change_cells(
    change: Change, write: Callable[[float], str], draws: Draws
) -> tuple[Cell, Cell, Cell, Cell, Cell]:
    """A change, its interval and p, its controls and its rank among them."""
    moved = Cell("", mark="refused", detail="; ".join(change.obstacles))
    if change.shift is not None:
        moved = Cell(write(change.shift), change.shift, change.mark, detail(change, draws))
    return (
        moved,
        Cell(interval(change.interval, write)),
        Cell(p_value(change.p_holm), change.p_holm),
        controls_cell(list(change.controls.values()), write),
        Cell(p_value(change.control_p), change.control_p),
    )


def controls_cell(numbers: Sequence[float], write: Callable[[float], str]) -> Cell:
    """Their span, and how many they are."""
    return Cell(f"{span(numbers, write)} ({len(numbers)})" if numbers else "")


def legend(rows: Iterable[Sequence[Cell]], draws: Draws, show: Show) -> list[str]:
    """What each sign says that stands in the rows."""
    refused = (
        "does not belong beside the others" if show == "value" else "no change or mean is given"
    )
    meanings: dict[Mark, str] = {
        "undecided": f"~ the {draws.level:.0%} interval of the change holds 0",
        "unchanged": "= the same number as under none, in every document where they are logged",
        "refused": f"! {refused}, for a reason below or because a language is missing",
        "contradicted": "! beside a number: the samples of it, or of none, give another",
    }
    marks = {cell.mark for row in rows for cell in row}
    return [text for mark, text in meanings.items() if mark in marks]


def signatures(panel: Panel, conditions: Collection[str]) -> list[str]:
    """One a condition, with `*` for the language of the task where only that differs."""
    rows = [change.row for (c, _), change in panel.changes.items() if c in conditions]
    lines = (row.signature.replace(f"data:{row.task}:", f"data:{row.family}:") for row in rows)
    return list(dict.fromkeys(lines))
