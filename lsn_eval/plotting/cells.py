"""How large the cells of a heat map are, and how strong their colours."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from lsn_eval.comparing import Panel
from lsn_eval.results.rows import NO_CONDITION

NUMBERED = 1800
"""Cells beyond which numbers in them would make a poster of the figure."""
LEAST_SPAN = 0.1
"""Of perplexities the log ratio, about 10 % more or less; of shares the difference; of other
metrics the share of the largest baseline."""


@dataclass(frozen=True)
class CellSizes:
    """In inches and points, by how much there is to show."""

    width: float
    height: float
    points: float
    """Of the numbers in cells; 0 for none."""

    @staticmethod
    def of(rows: int, columns: int) -> CellSizes:
        """For so many cells."""
        if rows * columns > NUMBERED:
            return CellSizes(0.24, 0.17, 0.0)
        if columns <= 12:
            return CellSizes(0.74, 0.42 if rows <= 20 else 0.3, 8.5 if rows <= 20 else 7.5)
        return CellSizes(0.5, 0.26, 6.0) if columns <= 24 else CellSizes(0.42, 0.22, 5.0)


def colour_span(panel: Panel, shifts: Iterable[float | None]) -> float:
    """The shift that has the strongest colour: the largest drawn, and no less than keeps noise pale
    where nothing else was found."""
    values = {
        place: change.row.value
        for place, change in panel.changes.items()
        if math.isfinite(change.row.value)
    }
    unit = 1.0
    if panel.scale == "linear" and not all(0 <= value <= 1 for value in values.values()):
        baselines = [abs(value) for (name, _), value in values.items() if name == NO_CONDITION]
        unit = max(baselines, default=0.0) or max(map(abs, values.values()))
    known = [abs(shift) for shift in shifts if shift is not None and math.isfinite(shift)]
    return max([LEAST_SPAN * unit, *known])
