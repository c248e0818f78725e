"""Language activation probability (a comparison method of Tang et al. 2024)."""

from __future__ import annotations

import numpy as np

from lsn_eval.identification.selection import (
    Selection,
    by_layer,
    check_rate,
    hookpoint_and_model,
    probabilities,
)
from lsn_eval.statistics import ActivationStats


def lap(
    stats: ActivationStats, *, hookpoint: str | None = None, min_probability: float = 0.95
) -> Selection:
    """Neurons that fire at more than `min_probability` of a language's tokens.

    Tang et al. (2024, arXiv 2402.16438), among the methods they compare with; .95 is theirs. Each
    language is looked at alone, so a neuron that fires everywhere belongs to every language, and
    how many neurons there are is a matter of the model. Two languages are asked for all the same,
    as of every method: the mask of one would say nothing of language.
    """
    check_rate("min_probability", min_probability)
    hookpoint, model = hookpoint_and_model(stats, hookpoint)
    fires = probabilities(stats, hookpoint) > np.float32(min_probability)
    return Selection(
        stats.languages,
        model,
        {
            language: {hookpoint: by_layer(np.flatnonzero(fires[number]), model, hookpoint)}
            for number, language in enumerate(stats.languages)
        },
        {"hookpoint": hookpoint},
    )
