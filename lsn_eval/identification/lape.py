"""Language activation probability entropy, and what Tang et al. (2024) compare it with: the
probability alone (`lap`), and the entropy of the activation's value (`lave`)."""

from __future__ import annotations

import numpy as np

from lsn_eval.identification.entropy import select_uneven
from lsn_eval.identification.selection import (
    ENOUGH,
    Selection,
    check_rate,
    hookpoint_and_model,
    probabilities,
)
from lsn_eval.statistics import ActivationStats


def lape(
    stats: ActivationStats,
    *,
    hookpoint: str | None = None,
    top_rate: float = 0.01,
    filter_rate: float = 0.95,
    activation_bar_rate: float = 0.95,
) -> Selection:
    """Neurons that fire in few languages: low entropy of the firing rate over languages.

    p[k] is the share of tokens of language k at which the neuron's activation is above 0;
    q[k] = p[k] / sum(p); LAPE = -sum(q[k] log q[k]). Tang et al. (2024, arXiv 2402.16438), section
    on language activation probability entropy; the three rates are their defaults.

    A neuron is dropped if no language has p above the `filter_rate` quantile of all
    probabilities, the `round(filter_rate * N)`-th smallest of all N = languages * layers *
    neurons; "above" is strict. The lowest `round(top_rate * layers * neurons)` entropies are kept,
    ties in the order (layer, neuron). A kept neuron belongs to each language whose p is above the
    `activation_bar_rate` quantile: to several, where several are.

    Neurons that never fire have no entropy and are never kept. Published counts with p slightly
    above 1 are used as they are: only ratios and comparisons of p matter.
    """
    hookpoint, model = hookpoint_and_model(stats, hookpoint)
    values = probabilities(stats, hookpoint)
    rates = (top_rate, filter_rate, activation_bar_rate)
    return select_uneven(values, stats.languages, model, hookpoint, *rates)


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
    values = np.maximum(stats.get(hookpoint, "mean"), 0).astype(np.float32)
    rates = (top_rate, filter_rate, activation_bar_rate)
    return select_uneven(values, stats.languages, model, hookpoint, *rates)


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
    rates = probabilities(stats, hookpoint)

    def remedy(row: int) -> str:
        highest = np.sort(rates[row], axis=None)[-ENOUGH:]
        least = np.floor(1000 * np.nextafter(highest[0], -1, dtype=np.float64)) / 1000
        return f"min_probability {max(0, least):g} gives it {highest.size} or more"

    fires = map(np.flatnonzero, rates > np.float32(min_probability))
    return Selection.at(stats.languages, model, hookpoint, fires, remedy)
