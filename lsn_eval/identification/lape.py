"""Language activation probability entropy, and what Tang et al. (2024) compare it with: the
probability alone (`lap`), and the entropy of the activation's value (`lave`)."""

from __future__ import annotations

import numpy as np

from lsn_eval.identification.entropy import language_entropy, select_lowest, select_uneven
from lsn_eval.identification.selection import (
    ENOUGH,
    Selection,
    check_rate,
    hookpoint_and_model,
    only_neurons,
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


def lape_lambda(
    stats: ActivationStats,
    *,
    hookpoint: str | None = None,
    top_rate: float = 0.01,
    weight: float | None = None,
    activation_bar_rate: float = 0.95,
) -> Selection:
    """LAPE with a term for how often the neuron fires where it fires most, and without a filter.

    Zhang et al. (2025, "How does Alignment Enhance LLMs' Multilingual Capabilities? A Language
    Neurons Perspective", arXiv 2505.21505), as in their public code (NJUNLP/
    Language-Neurons-Alignment): with p[k] the firing rates in K languages, the score is
    LAPE / log K - lambda * max(p) / (H / K), where H = 1 + 1/2 + ... + 1/K. The lowest
    `round(top_rate * layers * neurons)` are kept, and each belongs to every language whose p is
    above the `activation_bar_rate` quantile. A neuron may so be kept that fires everywhere: those
    of one language are language-specific, those of some are language-related
    (`NeuronMask.shared_by`), those of all are general.

    Args:
        weight: lambda. None searches for the largest at which no kept neuron belongs to every
            language, by bisection of 0 to 0.2 down to 0.001 as their code does, and 0 where there
            is none; what was found stands in the method's parameters.
    """
    hookpoint, model = hookpoint_and_model(stats, hookpoint)
    values = probabilities(stats, hookpoint)
    kinds = len(stats.languages)
    entropy = language_entropy(values) / np.log(kinds)
    harmonic = sum(1 / number for number in range(1, kinds + 1))
    highest = values.max(axis=0).astype(np.float64) / (harmonic / kinds)

    def selected(factor: float) -> Selection:
        scores = (entropy - factor * highest).astype(np.float32)
        lower = f"a lower activation_bar_rate can (now {activation_bar_rate})"
        of = stats.languages, model, hookpoint
        rates = top_rate, activation_bar_rate
        return select_lowest(scores, values, *of, *rates, lower, weight=factor)

    if weight is not None:
        check_rate("weight", weight)
        return selected(weight)
    low, high, best = 0.0, 0.2, selected(0.0)
    while high - low > 1e-3:
        middle = selected((low + high) / 2)
        if _general(middle):
            high = (low + high) / 2
        else:
            low, best = (low + high) / 2, middle
    return best


def _general(selection: Selection) -> bool:
    """Whether a neuron belongs to every language."""
    of_languages = [
        {(place, index) for place, indices in by_place.items() for index in indices.tolist()}
        for by_place in selection.neurons.values()
    ]
    return bool(set.intersection(*of_languages))


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
    values = only_neurons(means, model, hookpoint)
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
        highest = np.sort(rates[row][~np.isnan(rates[row])])[-ENOUGH:]
        least = np.floor(1000 * np.nextafter(highest[0], -1, dtype=np.float64)) / 1000
        return f"min_probability {max(0, least):g} gives it {highest.size} or more"

    fires = map(np.flatnonzero, rates > np.float32(min_probability))
    return Selection.at(stats.languages, model, hookpoint, fires, remedy)
