"""The signature lines below a figure: what its numbers were measured with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lsn_eval.comparing import Draws, Panel
from lsn_eval.results.rows import NO_CONDITION, Row

_NAMED = 4
"""Different values of a part that are listed; of more, the number is given."""


def signature_line(rows: Iterable[Row]) -> str:
    """One signature for many rows: `condition:*` where they differ, other parts with what they are.

    Rows of the baseline count only if there are no others: they name no mask.
    """
    everything = list(rows)
    chosen = [row for row in everything if row.condition != NO_CONDITION] or everything
    values: dict[str, dict[str, None]] = {}
    for row in chosen:
        for part in row.signature.split("|"):
            key, _, value = part.partition(":")
            if key == "condition" and value != NO_CONDITION and len(chosen) > 1:
                value = value if len({other.condition for other in chosen}) == 1 else "*"
            if key == "data":
                value = value.replace(row.task, row.family, 1)
            values.setdefault(key, {})[value] = None
    return "|".join(_part(key, list(found)) for key, found in values.items())


def _part(key: str, found: Sequence[str]) -> str:
    if len(found) > _NAMED:
        return f"{key}:({len(found)} different)"
    value = ",".join(found)
    return f"{key}:{value}" if value else key


def signature_lines(panels: Sequence[Panel], draws: Draws | None) -> list[str]:
    """The signature of all panels, and how the intervals were made where there are any."""
    line = signature_line(change.row for panel in panels for change in panel.changes.values())
    tested = any(change.interval for panel in panels for change in panel.changes.values())
    return [line, *([str(draws)] if tested and draws is not None else [])]
