"""`Kind`: how a metric follows from sums over documents.

Every statistic here is a function of sums, so that a bootstrap or a randomisation of a whole table
is matrix products with the same draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsn_eval.results.scale import Scale

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """How a metric follows from sums over documents."""

    name: str
    scale: Scale
    on_scale: Callable[[Numbers], Numbers]
    """[..., column] sums to [...] values on the scale; NaN where they are not defined."""

    def value(self, sums: Numbers) -> float:
        """The metric."""
        with np.errstate(all="ignore"):
            moved = float(self.on_scale(sums))
        return math.exp(min(moved, 700.0)) if self.scale == "log" else moved

    def on(self, scale: Scale) -> Kind:
        """The same statistic on another scale."""
        inner = self.on_scale
        if scale == self.scale:
            return self
        over = np.log if scale == "log" else np.exp
        return Kind(self.name, scale, lambda sums: over(inner(sums)))


def _quotient(sums: Numbers) -> Numbers:
    total = sums[..., 1]
    return np.divide(sums[..., 0], total, out=np.full(total.shape, np.nan), where=total != 0)


MEAN = Kind("mean", "linear", _quotient)
RATIO = Kind("ratio of sums", "linear", _quotient)
MEAN_PERPLEXITY = Kind("exp of the negative mean", "log", _quotient)
PERPLEXITY = Kind("perplexity", "log", _quotient)
BITS = Kind("bits per unit", "linear", lambda sums: _quotient(sums) / math.log(2))
