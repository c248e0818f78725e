"""Random neurons: the baseline that every method has to beat (as in Tang et al. 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lsn_eval.identification.selection import (
    IdentificationError,
    Neurons,
    Selection,
    by_layer,
    check_languages,
    check_rate,
    check_whole,
    model_at,
    one_hookpoint,
    share,
)
from lsn_eval.models.layout import ModelLayout

if TYPE_CHECKING:
    from lsn_eval.statistics import ActivationStats


def random(
    stats: ActivationStats,
    *,
    hookpoint: str | None = None,
    top_rate: float = 0.01,
    seed: int = 0,
) -> Selection:
    """`round(top_rate * layers * neurons)` random neurons, dealt out to the languages in turn.

    Tang et al. (2024, arXiv 2402.16438), random selection, which leaves open how many each
    language gets: here as many in all as LAPE keeps at the same `top_rate`, in equal shares that
    do not overlap. For random neurons that match a mask layer by layer, use its controls.
    """
    check_languages(stats)
    hookpoint = one_hookpoint(stats, hookpoint)
    model = model_at(stats.model, hookpoint)
    neurons = random_neurons(stats.languages, model, hookpoint, top_rate=top_rate, seed=seed)
    return Selection(stats.languages, model, neurons, {"hookpoint": hookpoint})


def random_neurons(
    languages: tuple[str, ...],
    model: ModelLayout,
    hookpoint: str,
    *,
    top_rate: float = 0.01,
    seed: int = 0,
) -> Neurons:
    """The neurons of `random`, for a model of which nothing was recorded.

    The generator is `numpy.random.RandomState`, whose stream NumPy keeps for good.
    """
    check_rate("top_rate", top_rate)
    if check_whole("seed", seed) > 2**32 - 1:
        raise IdentificationError(f"seed must be below 2**32, not {seed}")
    total = len(model.layers) * model.widths[hookpoint]
    drawn = np.random.RandomState(seed).permutation(total)[: share(top_rate, model, hookpoint)]
    return {
        language: {hookpoint: by_layer(np.sort(drawn[number :: len(languages)]), model, hookpoint)}
        for number, language in enumerate(languages)
    }
