"""Names of languages, controls and statistics in a mask, and the method that made it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lsn_eval.errors import LsnError

LANGUAGE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
CONTROL_NAME = re.compile(r"random([1-9][0-9]*)-(.+)")
STATISTICS = ("mean", "median", "pN", "max", "diffmean")
"""Statistics of a neuron in its language that a mask can store and a condition can write: pN is the
N-th percentile, of those that were recorded; diffmean is the mean less the mean of the other
languages' means."""
ADD_STATISTICS = "record it, and add it with 'lsn-eval mask add-statistics MASK STATS'"
"""What to do where a mask lacks a statistic."""
OVER_TEXTS = "over texts"
"""What the "median" is of in a mask whose method says so: the means of texts, not of tokens."""
_PERCENTILE = re.compile(r"p([1-9][0-9]?)")


def quantile_share(name: str) -> float | None:
    """Of `median` and `p1` to `p99` the share of values below it; None of any other name."""
    match = _PERCENTILE.fullmatch(name)
    return int(match[1]) / 100 if match else 0.5 if name == "median" else None


def is_statistic(name: str) -> bool:
    """Whether this is the name of a statistic."""
    return name in STATISTICS[:2] + STATISTICS[3:] or quantile_share(name) is not None


def statistics_in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names of statistics in the order in which they are shown: the mean, quantiles from the median
    on, and the rest."""
    before = {"mean": -2.0, "median": -1.0, "max": 1.0, "diffmean": 2.0}
    return tuple(sorted(names, key=lambda name: before.get(name, quantile_share(name) or 0)))


def check_language_names(languages: Iterable[str], error: type[LsnError]) -> None:
    """Raise `error` where one cannot be the name of a language, or means something else."""
    for language in languages:
        if not LANGUAGE_NAME.fullmatch(language) or language == "none":
            raise error(
                f"{language!r} is no language name; a name such as de or zh-Hant was expected: "
                "letters, digits, '_', '-' and '.', beginning with a letter (and not 'none')"
            )
        if CONTROL_NAME.fullmatch(language):
            raise error(f"{language!r} is the name of a control, not of a language")


@dataclass(frozen=True)
class MaskMethod:
    """How the neurons were found."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
