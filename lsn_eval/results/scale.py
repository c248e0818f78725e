"""The scale that changes of a metric are taken on, and selectivity: the one definition of both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Scale = Literal["log", "linear"]
"""Where changes are taken: of the logarithm for perplexities, of the value for the rest."""


def scale_of(metric: str) -> Scale:
    """The scale of a metric, by its name."""
    return "log" if "perplexity" in metric else "linear"


def shift(value: float, baseline: float, scale: Scale) -> float | None:
    """Change since the baseline on the scale: the log ratio, or the difference.

    None where a value is not finite, or is no perplexity on the scale of logs.
    """
    if not (math.isfinite(value) and math.isfinite(baseline)):
        return None
    if scale == "linear":
        return value - baseline
    if value <= 0 or baseline <= 0:
        return None
    ratio = value / baseline
    # Of numbers far apart the ratio is more, or less, than a float holds.
    return math.log(ratio) if 0 < ratio < math.inf else math.log(value) - math.log(baseline)


def shifted(baseline: float, by: float, scale: Scale) -> float:
    """The value that is so far from the baseline on the scale."""
    return baseline * math.exp(by) if scale == "log" else baseline + by


def selectivity(own: float, others: Sequence[float]) -> float:
    """How much more a condition changes its own language than the others: the own change minus the
    mean of the others' changes, all of them shifts."""
    return own - math.fsum(others) / len(others)
