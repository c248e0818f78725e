"""Language activation value entropy (a comparison method of Tang et al. 2024)."""

from __future__ import annotations

import numpy as np

from lsn_eval.identification.entropy import select_uneven
from lsn_eval.identification.selection import (
    Selection,
    hookpoint_and_model,
)
from lsn_eval.statistics import ActivationStats


def lave(
    stats: ActivationStats,
    *,
    hookpoint: str | None = None,
    top_rate: float = 0.01,
    filter_rate: float = 0.95,
    activation_bar_rate: float = 0.95,
) -> Selection:
    """LAPE with the mean activation in the place of the firing rate.

    Tang et al. (2024, arXiv 2402.16438), among the methods they compare with: entropy over
    languages of the neuron's activation value; languages with high values own the neuron.

    Left open there, chosen here:
    - Means may be negative, and an entropy needs values that are not. A negative mean counts as
      0: the floor of a SiLU or GELU is about -0.28 or -0.17, so a negative mean says that the
      neuron is mostly off, not that it is on with the other sign. (For a linear layer's output,
      where the sign is arbitrary, that loses neurons which go down in a language.)
    - Filtering, top rate and assignment are LAPE's, with quantiles of the means.

    Activations differ in scale between layers, and one quantile serves them all: the method
    prefers layers of large activations, often the last ones.
    """
    hookpoint, model = hookpoint_and_model(stats, hookpoint)
    means = np.maximum(stats.get(hookpoint, "mean"), 0).astype(np.float32)
    uneven = select_uneven(
        means,
        top_rate=top_rate,
        filter_rate=filter_rate,
        activation_bar_rate=activation_bar_rate,
    )
    return uneven.selection(stats.languages, model, hookpoint)
