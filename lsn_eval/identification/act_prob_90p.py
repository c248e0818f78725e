"""Activation probability above the 90th percentile (Mondal et al. 2025)."""

from __future__ import annotations

import numpy as np

from lsn_eval.errors import LsnError
from lsn_eval.identification.selection import (
    ENOUGH,
    IdentificationError,
    Selection,
    check_rate,
    enough_at,
    hookpoint_and_model,
    lowest,
    over_tokens,
    share,
)
from lsn_eval.statistics import ActivationStats

ABOVE_THRESHOLD = "above_threshold"
"""Name of the counts that a second recording pass adds to the statistics."""


def act_prob_90p(
    stats: ActivationStats, *, hookpoint: str | None = None, top_rate: float = 0.00125
) -> Selection:
    """Per language, the `round(top_rate * layers * neurons)` neurons most often above their P90.

    Mondal et al. (2025, arXiv 2503.17456), activation probability 90p. A neuron's threshold in a
    language is, as in the authors' public code, the mean over batches of each batch's own 90th
    percentile in that language; a second pass over the same texts counts how often that language's
    tokens are above it. The counts are the array "above_threshold" [language, layer, neuron] of
    the statistics.

    The method is weak, and knowing why helps to read its masks. With the exact 90th percentile of
    the whole corpus, every neuron would be above it at one token in ten, and the ranking would be
    nothing but ties. What ranks neurons here is by how much the mean of batch percentiles misses
    the corpus' percentile: skew and drift between batches, not language. The same neurons come out
    for a language whatever the other languages do.

    Ties are broken by (layer, neuron).
    """
    check_rate("top_rate", top_rate)
    hookpoint, model = hookpoint_and_model(stats, hookpoint)
    try:
        above = over_tokens(stats, hookpoint, ABOVE_THRESHOLD, np.float64)
    except LsnError as error:
        raise IdentificationError(
            f"act_prob_90p needs counts of a second recording pass (array {ABOVE_THRESHOLD!r} at "
            f"{hookpoint}), which these statistics do not have. Record them with "
            "'lsn-eval record --own-p90', or lsn_eval.recording.count_above_thresholds. The "
            "percentiles of one pass will not do: by definition every neuron is above its own "
            "90th percentile at one token in ten"
        ) from error
    neurons = [lowest(-rates, share(top_rate, model, hookpoint)) for rates in above]
    remedy = f"top_rate {enough_at(ENOUGH, model.neurons(hookpoint))} gives it {ENOUGH}"
    return Selection.at(stats.languages, model, hookpoint, neurons, lambda row: remedy)
