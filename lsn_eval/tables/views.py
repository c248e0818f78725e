"""Tables of one panel, conditions x languages: values, or changes since `none`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from lsn_eval.comparing import Change, Draws, Panel
from lsn_eval.comparing.panels import growth
from lsn_eval.errors import LsnError
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.tables.table import Cell, Mark, Table
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


def parse_show(text: str) -> tuple[Show, ...]:
    """What tables are to show: names with commas.

    Raises:
        LsnError: no such view.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in SHOWN:
            raise LsnError(f"{name!r} cannot be shown; there are {', '.join(SHOWN)}")
    return tuple(known for name in names for known in SHOWN if known == name)


def default_show(panel: Panel) -> Show:
    """Relative changes of perplexities, differences of the rest; values without a condition."""
    if not any(condition != NO_CONDITION for condition in panel.conditions):
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
    shown = show or default_show(panel)
    if shown == "ppxc" and panel.scale != "log":
        raise LsnError(f"PPXC is a change of perplexity; {panel.metric} is none")
    moved = [c for c in panel.conditions if c != NO_CONDITION]
    languages = panel.languages
    mean = len(languages) > 1
    rows = []
    if shown == "value":
        moved = list(panel.conditions)
    for condition in moved:
        rows.append(_row(panel, condition, shown, draws, mean, intervals))
        controls = panel.controls.get(condition, ())
        if all_controls:
            rows += [_row(panel, c, shown, draws, mean, intervals) for c in controls]
        elif controls:
            rows.append(_control_row(panel, condition, shown, mean))
    for control in panel.lone_controls if all_controls else ():
        name = f"{control} (control)"
        rows.append(_row(panel, control, shown, draws, mean, intervals, name))
    if shown != "value" and NO_CONDITION in panel.conditions:
        rows.append(_row(panel, NO_CONDITION, "value", draws, mean, intervals, "(none)"))
    table = Table(
        title=f"{panel.title}: {SHOWN[shown]}",
        columns=("condition", *languages, *(["mean"] if mean else [])),
        rows=tuple(rows),
        signatures=signatures(panel),
    )
    return replace(table, notes=tuple(_notes(panel, draws, shown, table)))


def _row(
    panel: Panel, condition: str, show: Show, draws: Draws, mean: bool, intervals: bool,
    name: str = "",
) -> tuple[Cell, ...]:  # fmt: skip
    cells = [
        change_cell(panel.change(condition, language), show, draws, intervals)
        for language in panel.languages
    ]
    average = [_mean(panel, condition, show)] if mean else []
    return (Cell(name or condition), *cells, *average)


def change_cell(change: Change | None, show: Show, draws: Draws, intervals: bool = False) -> Cell:
    """One number, its mark, and in words what is to be known of it."""
    if change is None:
        return Cell("", detail="not measured")
    if show == "value":
        error = f" ± {plain(change.row.stderr)}" if change.row.stderr is not None else ""
        refused = change.incomparable or not change.row.usable
        return Cell(
            plain(change.row.value) + error,
            change.row.value if change.row.usable else None,
            mark="refused" if refused else "contradicted" if change.contradicted else "",
            detail=detail(change, draws),
        )
    amount = _amount(change, show)
    if amount is None:
        return Cell("", mark="refused", detail="; ".join(change.obstacles) or "no ratio to 0")
    text = _written(amount, show)
    if intervals and (ends := _ends(change, show)):
        text += f" [{', '.join(_written(end, show) for end in ends)}]"
    return Cell(text, amount, mark=change.mark, detail=detail(change, draws))


def _amount(change: Change, show: Show) -> float | None:
    return {
        "difference": change.difference,
        "ppxc": change.difference,
        "relative": change.relative,
        "ratio": change.ratio,
    }[show]


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
    return plain(amount) if show == "ratio" else signed(amount)


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


def shift_writer(scale: str) -> Callable[[float], str]:
    """A change on the scale as a reader sees it: percent of perplexities."""
    if scale == "log":
        return lambda shift: percent(growth(shift)) + " %"
    return signed


def _mean(panel: Panel, condition: str, show: Show) -> Cell:
    """Over the languages, and only if every one of them is there and comparable."""
    changes = [panel.change(condition, language) for language in panel.languages]
    known = [change for change in changes if change is not None]
    if len(known) < len(changes):
        return Cell("", mark="refused", detail="a language is missing")
    if panel.uneven:
        return Cell("", mark="refused", detail=f"measured with {'; '.join(panel.uneven)}")
    if show == "value":
        average = panel.mean_value(condition)
        if average is None:
            return Cell("", mark="refused", detail="a language is not comparable, or no number")
        contradicted = any(change.contradicted for change in known)
        return Cell(plain(average), average, "contradicted" if contradicted else "")
    shift = panel.mean_shift(condition)
    amounts = [amount for change in known if (amount := _amount(change, show)) is not None]
    if shift is None or len(amounts) < len(known):
        return Cell("", mark="refused", detail="a language is not comparable with none")
    if panel.scale == "log" and show in ("relative", "ratio"):
        number = growth(shift) + (show == "ratio")
    else:
        number = sum(amounts) / len(amounts)
    mark: Mark = "contradicted" if panel.contradicted(condition) else ""
    return Cell(_written(number, show), number, mark)


def _control_row(panel: Panel, condition: str, show: Show, mean: bool) -> tuple[Cell, ...]:
    """From the smallest to the largest of the controls, language by language."""
    names = panel.controls[condition]
    cells = []
    for language in panel.languages:
        changes = [panel.change(name, language) for name in names]
        amounts = [
            (None if change.incomparable else change.row.value)
            if show == "value"
            else _amount(change, show)
            for change in changes
            if change is not None
        ]
        known = sorted(amount for amount in amounts if amount is not None and math.isfinite(amount))
        write = plain if show == "value" else (lambda amount: _written(amount, show))
        text = span(known, write)
        if 0 < len(known) < len(names):
            text += f" ({len(known)})"
        largest = max(known, key=abs) if known else None
        # A control that was measured and left out of the span must not go unseen.
        left_out = len(known) < sum(change is not None for change in changes)
        cells.append(
            Cell(
                text, largest, "refused" if left_out else "", detail=counted(len(known), "control")
            )
        )
    label = counted(len(names), "control")
    return (Cell(f"  {label}", detail=", ".join(names)), *cells, *([Cell("")] if mean else []))


def _notes(panel: Panel, draws: Draws, show: Show, table: Table) -> list[str]:
    """What signs and rows mean, as far as they are there, and the panel's own remarks."""
    marks = {cell.mark for row in table.rows for cell in row}
    notes = [text for sign, text in meanings(draws, show) if sign in marks]
    cells = [change for (c, _), change in panel.changes.items() if c != NO_CONDITION]
    if show != "value":
        if any(change.interval is None and change.shift is not None for change in cells):
            notes.append("numbers without logged samples have neither interval nor test")
        if NO_CONDITION in panel.conditions:
            notes.append("(none): the value without intervention")
    if any(row[0].text.startswith("  ") for row in table.rows):
        notes.append(
            "controls: from the smallest to the largest of as many random neurons, language by "
            "language; in parentheses how many, where not all were measured"
        )
    if len(panel.languages) > 1 and not panel.uneven:
        geometric = panel.scale == "log" and show not in ("ppxc", "difference")
        notes.append(
            f"mean: {'geometric' if geometric else 'arithmetic'}, over the languages, not tested"
        )
    return [*notes, *panel.notes]


def meanings(draws: Draws, show: Show) -> Sequence[tuple[Mark, str]]:
    """What each sign says."""
    refused = (
        "does not belong beside the others" if show == "value" else "no change or mean is given"
    )
    return (
        ("undecided", f"~ the {draws.level:.0%} interval of the change holds 0"),
        ("unchanged", "= the same number as under none, in every document where they are logged"),
        ("refused", f"! {refused}, for a reason below or because a language is missing"),
        (
            "contradicted",
            "! beside a number: the samples of it, or of none, give another",
        ),
    )


def signatures(panel: Panel) -> tuple[str, ...]:
    """One a condition, with `*` for the language of the task where only that differs."""
    found: dict[str, str] = {}
    for (condition, _), change in panel.changes.items():
        row = change.row
        line = row.signature.replace(f"data:{row.task}:", f"data:{row.family}:")
        if condition in panel.conditions:
            found.setdefault(line, condition)
    return tuple(found)
