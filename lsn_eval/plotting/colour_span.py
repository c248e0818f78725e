"""How large a change has the strongest colour of a heat map."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lsn_eval.comparing import Panel
from lsn_eval.results.rows import NO_CONDITION

LEAST_LOG_RATIO = 0.1
"""Of perplexities: about 10 % more or less."""
LEAST_OF_SHARES = 0.1
"""Of metrics whose values lie between 0 and 1."""
LEAST_OF_BASELINE = 0.1
"""Of other metrics, as a share of the largest baseline."""


def colour_span(panel: Panel, shifts: Iterable[float | None]) -> float:
    """Half the width of the scale: the largest shift drawn, and no less than `least_span`."""
    known = [abs(shift) for shift in shifts if shift is not None and math.isfinite(shift)]
    return max([least_span(panel), *known])


def least_span(panel: Panel) -> float:
    """The span that keeps noise pale where nothing else was found."""
    if panel.scale == "log":
        return LEAST_LOG_RATIO
    found = panel.changes.values()
    values = [change.row.value for change in found if math.isfinite(change.row.value)]
    if all(0 <= value <= 1 for value in values):
        return LEAST_OF_SHARES
    baselines = [
        change.row.value
        for (condition, _), change in panel.changes.items()
        if condition == NO_CONDITION and math.isfinite(change.row.value)
    ]
    largest = max(map(abs, baselines), default=0.0) or max(map(abs, values))
    return LEAST_OF_BASELINE * largest
