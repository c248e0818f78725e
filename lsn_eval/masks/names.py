"""Names of languages, controls and statistics in a mask, and the method that made it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lsn_eval.errors import LsnError

LANGUAGE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
CONTROL_NAME = re.compile(r"random([1-9][0-9]*)-(.+)")
STATISTICS = ("mean", "median", "pN", "max")
"""Statistics of a neuron in its language that a mask can store and a condition can write; pN is the
N-th percentile, of those that were recorded."""
ADD_STATISTICS = "record it, and add it with 'lsn-eval mask add-statistics MASK STATS'"
"""What to do where a mask lacks a statistic."""
OVER_TEXTS = "over texts"
"""What the "median" is of in a mask whose method says so: the means of texts, not of tokens."""
_PERCENTILE = re.compile(r"p([1-9][0-9]?)")


def is_statistic(name: str) -> bool:
    """Whether this is the name of a statistic."""
    return name in ("mean", "median", "max") or _PERCENTILE.fullmatch(name) is not None


def statistics_in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names of statistics in the order in which they are shown: percentiles between median and
    maximum."""

    def rank(name: str) -> tuple[int, int]:
        match = _PERCENTILE.fullmatch(name)
        return (2, int(match[1])) if match else (("mean", "median", "", "max").index(name), 0)

    return tuple(sorted(names, key=rank))


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
