"""Language activation probability entropy (Tang et al. 2024)."""

from __future__ import annotations

from lsn_eval.identification.entropy import select_uneven
from lsn_eval.identification.selection import (
    Selection,
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
    uneven = select_uneven(
        probabilities(stats, hookpoint),
        top_rate=top_rate,
        filter_rate=filter_rate,
        activation_bar_rate=activation_bar_rate,
    )
    return uneven.selection(stats.languages, model, hookpoint)
