"""What counts as a large change, and where one stands among those of its controls."""

from __future__ import annotations

from collections.abc import Sequence

from lsn_eval.results.scale import Scale


def size(shift: float, scale: Scale) -> float:
    """The one rule for ranks: of perplexities a rise is large, of metrics that may rise or fall a
    move in either direction."""
    return shift if scale == "log" else abs(shift)


def strength(own: float, others: float, scale: Scale) -> float:
    """What selectivities are ranked by: how much larger the own change is than the mean of the
    others'. Of perplexities it is the selectivity itself; an accuracy that falls in its own
    language has a negative selectivity and is selective all the same."""
    return size(own, scale) - size(others, scale)


def rank_p_value(value: float, controls: Sequence[float]) -> float | None:
    """Chance that as large a value is drawn from the controls: (1 + number at least as large) /
    (1 + number of controls), so that n controls can show 1 / (n + 1) at best (Phipson and Smyth
    2010, section 3). None without controls."""
    if not controls:
        return None
    return (1 + sum(control >= value for control in controls)) / (1 + len(controls))
