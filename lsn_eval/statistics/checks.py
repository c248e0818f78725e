"""Activation statistics held against themselves."""

from __future__ import annotations

import numpy as np

from lsn_eval.errors import StatisticsError
from lsn_eval.masks.names import check_language_names, quantile_share
from lsn_eval.models.hookpoints import HOOKPOINTS
from lsn_eval.statistics.content import STATISTICS, StatisticsContent, statistic_dtype

MOST_COUNTED = 1 << 53
"""Whole numbers beyond this are rounded where they are divided."""


def check_statistics(stats: StatisticsContent) -> None:
    """Raise where `stats` contradict themselves; make their arrays read-only."""
    _check_names(stats)
    shape = (len(stats.languages), len(stats.model.layers))
    _check_layer_tokens(stats, shape)
    for hookpoint, statistics in stats.arrays.items():
        expected = (*shape, stats.model.widths[hookpoint])
        for name, array in statistics.items():
            where = f"{hookpoint}/{name}"
            dtype = statistic_dtype(name)
            if dtype is None:
                raise StatisticsError(
                    f"{where}: the statistic must be one of {', '.join(STATISTICS)}"
                )
            if array.shape != expected or array.dtype != dtype:
                raise StatisticsError(
                    f"{where} is {array.dtype} {list(array.shape)}; {np.dtype(dtype)} "
                    f"{list(expected)} [language, layer, neuron] was expected"
                )
            if isinstance(array, np.ndarray) and array.flags.writeable:
                array.setflags(write=False)


def _check_layer_tokens(stats: StatisticsContent, shape: tuple[int, int]) -> None:
    tokens = stats.layer_tokens
    if tokens is None:
        return
    if tokens.shape != shape or tokens.dtype != np.int64:
        raise StatisticsError(
            f"tokens of layers are {tokens.dtype} {list(tokens.shape)}; int64 {list(shape)} "
            "[language, layer] was expected"
        )
    for language, each in zip(stats.languages, tokens, strict=True):
        if each.min() < 0 or each.max() > stats.tokens[language]:
            raise StatisticsError(
                f"between {each.min()} and {each.max()} tokens of {language} reached a layer; 0 to "
                f"the {stats.tokens[language]} that were counted were expected"
            )


def _check_names(stats: StatisticsContent) -> None:
    if not stats.languages or len(set(stats.languages)) != len(stats.languages):
        raise StatisticsError(
            f"languages {list(stats.languages)}: at least one, each once, was expected"
        )
    check_language_names(stats.languages, StatisticsError)
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


def check_values(stats: StatisticsContent) -> None:
    """Raise where a number cannot be: it reads every array, and is for files from outside."""
    counted = stats.tokens_at_layers() > 0
    for hookpoint, statistics in stats.arrays.items():
        for name, array in statistics.items():
            counts = array.dtype.kind == "i"
            for language, reached, values in zip(stats.languages, counted, array, strict=True):
                if counts:
                    sound = values.min() >= 0 and values.max() <= MOST_COUNTED
                else:
                    known = values[reached]
                    if stats.layer_tokens is not None and quantile_share(name) is not None:
                        known = known[~np.isnan(known[:, 0])]  # none of its tokens was sampled
                    sound = bool(np.isfinite(known).all())
                if not sound or (name == "variance" and values.min() < 0):
                    raise StatisticsError(
                        f"{hookpoint}/{name} of {language} holds numbers that cannot be; "
                        f"{'counts' if counts else 'finite numbers'} were expected"
                    )
