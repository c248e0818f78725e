"""What activation statistics are made of besides arrays, and what makes them sound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsn_eval.errors import StatisticsError
from lsn_eval.masks.names import LANGUAGE_NAME
from lsn_eval.models.hookpoints import HOOKPOINTS
from lsn_eval.statistics.quantiles import QUANTILES

if TYPE_CHECKING:
    from lsn_eval.statistics.activation_stats import ActivationStats

STATISTIC_DTYPES: Mapping[str, type] = {
    "positive": np.int64,
    "mean": np.float64,
    "variance": np.float64,
    "max": np.float32,
    **dict.fromkeys(QUANTILES, np.float32),
    "above_threshold": np.int64,
}
"""Every statistic and its precision. `positive` counts how often a neuron was above 0, and
`above_threshold` how often above its own threshold (`recording.count_above_thresholds`)."""


@dataclass(frozen=True, eq=False)
class TextResponses:
    """Each text's mean response per neuron (recorded with `--per-text`).

    `index` [text] is a text's number in its language's corpus, so that shards can be put back in
    the order of one run.
    """

    languages: NDArray[np.str_]
    index: NDArray[np.int64]
    read: Callable[[str, str], NDArray[np.float16]]
    """Responses [text, neuron] of a hookpoint and a layer, read when asked for."""

    def of(self, languages: Sequence[str]) -> TextResponses:
        """The texts of some languages alone."""
        rows = np.flatnonzero(np.isin(self.languages, list(languages)))
        return TextResponses(
            self.languages[rows],
            self.index[rows],
            lambda hookpoint, layer: self.read(hookpoint, layer)[rows],
        )


def check_statistics(stats: ActivationStats) -> None:
    """Raise where `stats` contradict themselves; make their arrays read-only."""
    _check_names(stats)
    shape = (len(stats.languages), len(stats.model.layers))
    for hookpoint, statistics in stats.arrays.items():
        expected = (*shape, stats.model.widths[hookpoint])
        for name, array in statistics.items():
            where = f"{hookpoint}/{name}"
            if name not in STATISTIC_DTYPES:
                raise StatisticsError(
                    f"{where}: the statistic must be one of {', '.join(STATISTIC_DTYPES)}"
                )
            if array.shape != expected or array.dtype != STATISTIC_DTYPES[name]:
                raise StatisticsError(
                    f"{where} is {array.dtype} {list(array.shape)}; "
                    f"{np.dtype(STATISTIC_DTYPES[name])} {list(expected)} [language, layer, "
                    "neuron] was expected"
                )
            if isinstance(array, np.ndarray) and array.flags.writeable:
                array.setflags(write=False)


def _check_names(stats: ActivationStats) -> None:
    if not stats.languages or len(set(stats.languages)) != len(stats.languages):
        raise StatisticsError(
            f"languages {list(stats.languages)}: at least one, each once, was expected"
        )
    for language in stats.languages:
        if not LANGUAGE_NAME.fullmatch(language) or language == "none":
            raise StatisticsError(
                f"language {language!r}: a name such as de or zh-Hant was expected"
            )
    if set(stats.tokens) != set(stats.languages) or min(stats.tokens.values()) < 0:
        raise StatisticsError(
            f"tokens {dict(stats.tokens)}: a number for each of {', '.join(stats.languages)} was "
            "expected"
        )
    for hookpoint in stats.arrays:
        if hookpoint not in HOOKPOINTS:
            raise StatisticsError(
                f"hookpoint {hookpoint!r}: one of {', '.join(HOOKPOINTS)} was expected"
            )
        if hookpoint not in stats.model.widths:
            raise StatisticsError(
                f"the statistics do not say how wide {hookpoint} is; they say so for "
                f"{', '.join(stats.model.widths)}"
            )


def whole_numbers(values: ArrayLike, what: str, axes: int) -> NDArray[np.int64]:
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise StatisticsError(
            f"{what}: an array of whole numbers was expected ({error})"
        ) from error
    if array.ndim != axes or array.dtype.kind not in "iu":
        raise StatisticsError(
            f"{what}: whole numbers with {axes} axes were expected, not {array.dtype} of shape "
            f"{list(array.shape)}"
        )
    return array.astype(np.int64)
