"""Changes whose interval is not known: they must not look decided."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from lsn_eval.comparing import Change, Panel
from lsn_eval.comparing.paired import FEW
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.wording.lists import listed

UNTESTED: Mapping[str, Any] = MappingProxyType(
    {
        "marker": "o", "edgecolors": "black", "linewidths": 0.8,
        "linestyles": [(0, (1.3, 1.1))], "gid": "untested",
    }
)  # fmt: skip
"""The dashed ring of a change without an interval, beside others that have one."""


def is_untested(change: Change) -> bool:
    """Whether there is a change, and no interval of it."""
    shift = change.shift
    return shift is not None and math.isfinite(shift) and change.interval is None


def any_interval(changes: Iterable[Change]) -> bool:
    """Whether some have an interval: what has none among them is marked."""
    return any(change.interval is not None for change in changes)


def interval_lines(panels: Sequence[Panel], changes: Sequence[Change]) -> list[str]:
    """What the foot of a figure says of the intervals that are missing or too short.

    Args:
        panels: that the figure is of.
        changes: drawn, without the baseline.
    """
    untested = [change for change in changes if is_untested(change)]
    if not any_interval(changes):
        return [_no_intervals(panels, untested)] if untested else []
    said = []
    if untested:
        said.append("Dashed ring: no interval, so it is not known whether there is a change.")
    few = [c.documents for c in changes if c.interval and c.documents and not c.equal]
    if few and min(few) < FEW:
        said.append(
            f"Intervals of {min(few)} documents are too short: percentile intervals of fewer than "
            f"{FEW} documents hold the truth less often than they say."
        )
    return said


def _no_intervals(panels: Sequence[Panel], untested: Sequence[Change]) -> str:
    baselines = [change for panel in panels for change in _shown(panel, baseline=True)]
    if any(change.obstacles for change in (*untested, *baselines)):
        return "No intervals: the samples cannot be used."
    return "No intervals: samples were not logged, or not read."


def reasons(panels: Sequence[Panel]) -> list[str]:
    """What the panels say about their numbers, and which cells lack samples where others have
    them."""
    found = [note for panel in panels for note in panel.notes]
    for panel in panels:
        changes = list(_shown(panel))
        if any_interval(changes):
            silent = [
                f"{change.row.condition} on {change.row.language or change.row.task}"
                for change in changes
                if is_untested(change) and not _explained(panel, change)
            ]
            if silent:
                found.append(
                    f"{listed(silent, 5)}: no interval, the samples of it or of none "
                    "were not logged (--log_samples)"
                )
    return list(dict.fromkeys(found))


def _explained(panel: Panel, change: Change) -> bool:
    baseline = panel.change(NO_CONDITION, change.row.language or change.row.task)
    return bool(change.obstacles or (baseline is not None and baseline.obstacles))


def _shown(panel: Panel, baseline: bool = False) -> Iterator[Change]:
    """Changes under conditions that are no controls, or the baseline's values."""
    for (condition, _), change in panel.changes.items():
        if condition in panel.conditions and (condition == NO_CONDITION) == baseline:
            yield change
