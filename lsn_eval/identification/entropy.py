"""Choosing neurons by how unevenly languages share them: the rule behind LAPE and its variants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.identification.selection import (
    ENOUGH,
    Selection,
    check_rate,
    enough_at,
    kth_value,
    lowest,
)
from lsn_eval.models.layout import ModelLayout


def language_entropy(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy in nats [layer, neuron] of `values` [language, layer, neuron] over languages.

    `values` are not negative; each neuron's are divided by their sum first. A neuron whose values
    are all 0 has no distribution: its entropy is infinite, so that it is never chosen. Neither is
    what is no neuron, whose values are NaN.

    Summed in float64 and rounded to float32: entropies that are equal on paper, such as those of
    two neurons with the same values for different languages, would otherwise differ in their
    last bits, and a tie would be broken by noise.
    """
    total = values.sum(axis=0, dtype=np.float64)
    silent = ~(total > 0)
    total[silent] = 1
    entropy = np.zeros(total.shape)
    for language in values:
        fraction = language / total
        logarithm = np.log(fraction, where=fraction > 0, out=np.zeros_like(fraction))
        entropy -= fraction * logarithm
    entropy[silent] = np.inf
    return entropy.astype(np.float32)


def select_uneven(
    values: NDArray[np.float32],
    languages: Iterable[str],
    model: ModelLayout,
    hookpoint: str,
    top_rate: float,
    filter_rate: float,
    activation_bar_rate: float,
    **found: Any,
) -> Selection:
    """The neurons whose `values` [language, layer, neuron] are the most uneven over languages.

    1. Neurons that no language has above the `filter_rate` quantile of all values are dropped.
    2. Of the rest, the round(`top_rate` * layers * neurons) of lowest entropy are taken.
    3. Each goes to every language that has it above the `activation_bar_rate` quantile.

    Where fewer neurons pass the first step than the second asks for, all that pass are taken.
    The selection has both quantiles among what was `found`.
    """
    check_rate("filter_rate", filter_rate)
    threshold = kth_value(values, filter_rate)
    entropy = language_entropy(values)
    entropy[values.max(axis=0) <= threshold] = np.inf
    rates = f"{activation_bar_rate} and {filter_rate}"
    remedy = f"a lower activation_bar_rate or filter_rate can (now {rates})"
    return select_lowest(
        entropy, values, languages, model, hookpoint, top_rate, activation_bar_rate, remedy,
        threshold=float(threshold), **found,
    )  # fmt: skip


def select_lowest(
    scores: NDArray[np.float32],
    values: NDArray[np.float32],
    languages: Iterable[str],
    model: ModelLayout,
    hookpoint: str,
    top_rate: float,
    activation_bar_rate: float,
    otherwise: str,
    **found: Any,
) -> Selection:
    """The round(`top_rate` * layers * neurons) neurons of lowest `scores` [layer, neuron].

    Each goes to every language that has its `values` [language, layer, neuron] above the
    `activation_bar_rate` quantile of all. One whose score is infinite is never taken.

    Args:
        otherwise: what gives a language more neurons where no top rate does.
    """
    check_rate("top_rate", top_rate)
    check_rate("activation_bar_rate", activation_bar_rate)
    bar = kth_value(values, activation_bar_rate)
    chosen = lowest(scores, round(model.neurons(hookpoint) * top_rate))
    neurons = (chosen[language.reshape(-1)[chosen] > bar] for language in values)
    found = {"activation_bar": float(bar), **found}

    def remedy(row: int) -> str:
        ranked = lowest(scores, scores.size)
        ranked = ranked[np.argsort(scores.reshape(-1)[ranked], kind="stable")]
        places = np.flatnonzero(values[row].reshape(-1)[ranked] > bar)[:ENOUGH]
        if not places.size or places[-1] < chosen.size:
            return f"no top_rate gives it more; {otherwise}"
        rate = enough_at(places[-1] + 1, model.neurons(hookpoint))
        return f"top_rate {rate} gives it {places.size}"

    return Selection.at(languages, model, hookpoint, neurons, remedy, **found)
