"""What the foot of a figure says: what its numbers were measured with, and which to trust."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from lsn_eval.comparing import Change, Draws, Panel
from lsn_eval.comparing.changes import too_few
from lsn_eval.errors import LsnError
from lsn_eval.results.rows import NO_CONDITION, Row
from lsn_eval.wording.lists import listed

UNTESTED: Mapping[str, Any] = MappingProxyType(
    {
        "marker": "o", "edgecolors": "black", "linewidths": 0.8,
        "linestyles": [(0, (1.3, 1.1))], "gid": "untested",
    }
)  # fmt: skip
"""The dashed ring of a change without an interval, beside others that have one: it must not look
decided."""
_NAMED = 4
"""Different values of a part of the signature that are listed; of more, the number is given."""


def interventions(panel: Panel) -> list[str]:
    """The conditions but `none`.

    Raises:
        LsnError: there are no others.
    """
    found = [name for name in panel.conditions if name != NO_CONDITION]
    if not found:
        raise LsnError(
            f"{panel.title}: only the baseline (none) is there; results under a condition were "
            "expected"
        )
    return found


def is_known(change: Change) -> bool:
    """Whether there is a change."""
    return change.shift is not None and math.isfinite(change.shift)


def is_untested(change: Change) -> bool:
    """Whether there is a change, and no interval of it."""
    return is_known(change) and change.interval is None


def any_interval(changes: Iterable[Change]) -> bool:
    """Whether some have an interval: what has none among them is marked."""
    return any(change.interval is not None for change in changes)


def foot(panels: Sequence[Panel], changes: Sequence[Change], draws: Draws | None) -> list[str]:
    """Which intervals are missing or too short, the signature, and how intervals were made.

    Args:
        panels: that the figure is of.
        changes: drawn, without the baseline.
        draws: how the intervals were made.
    """
    tested = any(any_interval(panel.changes.values()) for panel in panels)
    rows = [change.row for panel in panels for change in panel.changes.values()]
    made = [str(draws)] if tested and draws is not None else []
    return [*_intervals(panels, changes), signature_line(rows), *made]


def _intervals(panels: Sequence[Panel], changes: Sequence[Change]) -> list[str]:
    untested = [change for change in changes if is_untested(change)]
    if untested and not any_interval(changes):
        cells = [cell for panel in panels for cell in panel.changes.values()]
        baselines = [cell for cell in cells if cell.row.condition == NO_CONDITION]
        if any(change.obstacles for change in (*untested, *baselines)):
            return ["No intervals: the samples cannot be used."]
        return ["No intervals: samples were not logged, or not read."]
    lines = []
    if untested:
        lines.append("Dashed ring: no interval, so it is not known whether there is a change.")
    if few := too_few(changes):
        lines.append(f"{few[0].upper()}{few[1:]}.")
    return lines


def remarks(panels: Sequence[Panel]) -> list[str]:
    """What the panels say about their numbers, and which cells lack samples where others have
    them."""
    lines = [note for panel in panels for note in panel.notes]
    for panel in panels:
        shown = {at: c for at, c in panel.changes.items() if at[0] in panel.conditions}
        refused = {
            text
            for (name, text), c in panel.changes.items()
            if name == NO_CONDITION and c.obstacles
        }
        silent = [
            f"{name} on {text}"
            for (name, text), change in shown.items()
            if is_untested(change) and not change.obstacles and text not in refused
        ]
        if silent and any_interval(shown.values()):
            lines.append(
                f"{listed(silent)}: no interval, the samples of it or of none were not logged "
                "(--log_samples)"
            )
    return list(dict.fromkeys(lines))


def signature_line(rows: Sequence[Row]) -> str:
    """One signature for many rows: `condition:*` where they differ, other parts with what they are.

    Rows of the baseline count only if there are no others: they name no mask.
    """
    counted = [row for row in rows if row.condition != NO_CONDITION] or rows
    several = len({row.condition for row in counted}) > 1
    values: dict[str, dict[str, None]] = {}
    for row in counted:
        for part in row.signature.split("|"):
            key, _, value = part.partition(":")
            if key == "condition" and several:
                value = "*"
            if key == "data":
                value = value.replace(row.task, row.family, 1)
            values.setdefault(key, {})[value] = None
    written = {
        key: ",".join(texts) if len(texts) <= _NAMED else f"({len(texts)} different)"
        for key, texts in values.items()
    }
    return "|".join(f"{key}:{value}" if value else key for key, value in written.items())
