"""What a method hands on (`Selection`), and the counting and ranking that methods share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import LsnError
from lsn_eval.models.hookpoints import DEFAULT_HOOKPOINT
from lsn_eval.models.layout import ModelLayout, Place
from lsn_eval.statistics import ActivationStats

ENOUGH = 5
"""Neurons; of a language with fewer a mask says little, which is said."""

Neurons = dict[str, dict[Place, NDArray[np.int32]]]
"""`neurons[language][hookpoint, layer]`, sorted unique indices [neuron]."""


class IdentificationError(LsnError):
    """Statistics or parameters from which no mask can be made."""


@dataclass(frozen=True)
class Selection:
    """The neurons that a method chose, before statistics and controls are added to them."""

    languages: tuple[str, ...]
    model: ModelLayout
    """Its widths name the hookpoints that the method looked at, and no others."""
    neurons: Neurons
    found: Mapping[str, Any] = field(default_factory=dict)
    """What the method computed on the way, such as thresholds; stored beside its parameters."""
    median_over_texts: bool = False
    """The mask's "median" is to be the median over texts' means, not over tokens."""

    @staticmethod
    def at(
        languages: Iterable[str],
        model: ModelLayout,
        hookpoint: str,
        flat: Iterable[NDArray[np.int64]],
        remedy: Callable[[int], str],
        **found: Any,
    ) -> Selection:
        """Neurons of one hookpoint, of each language sorted `flat` positions in [layer, neuron].

        Where a language has fewer than `ENOUGH`, "too_few" is among what was `found`.

        Args:
            remedy: what would give the language of this number more.
        """
        chosen = dict(zip(languages, flat, strict=True))
        too_few = {
            name: remedy(row)
            for row, (name, mine) in enumerate(chosen.items())
            if mine.size < ENOUGH
        }
        found = {"hookpoint": hookpoint, **found, **({"too_few": too_few} if too_few else {})}
        neurons = {name: by_place(mine, model, hookpoint) for name, mine in chosen.items()}
        return Selection(tuple(chosen), model, neurons, found)


def check_languages(stats: ActivationStats) -> None:
    """Every method tells languages apart, so it needs two, and tokens of each.

    Raises:
        IdentificationError: fewer than two languages, or one that has no tokens.
    """
    if len(stats.languages) < 2:
        raise IdentificationError(
            f"statistics of one language alone were given ({', '.join(stats.languages) or 'none'});"
            " a neuron is specific to a language by comparison with others, and with one language "
            "every neuron looks alike. Record at least two languages together, or merge files with "
            "'lsn-eval stats merge'"
        )
    silent = [language for language in stats.languages if stats.tokens.get(language, 0) <= 0]
    if silent:
        raise IdentificationError(
            f"no tokens were recorded for {', '.join(silent)}; record texts of every language, or "
            "leave the language out of the statistics"
        )


def one_hookpoint(stats: ActivationStats, hookpoint: str | None) -> str:
    """The hookpoint asked for; without one `mlp.act`, or the only one recorded."""
    recorded = ", ".join(stats.hookpoints)
    if hookpoint is None:
        if DEFAULT_HOOKPOINT in stats.hookpoints:
            return DEFAULT_HOOKPOINT
        if len(stats.hookpoints) == 1:
            return stats.hookpoints[0]
        raise IdentificationError(
            f"these statistics have no {DEFAULT_HOOKPOINT} but {recorded}; say which, e.g. "
            f"hookpoint={next(iter(stats.hookpoints), DEFAULT_HOOKPOINT)}"
        )
    if hookpoint not in stats.hookpoints:
        raise IdentificationError(
            f"hookpoint {hookpoint!r} is not in these statistics, which have {recorded}; record "
            f"with --hookpoint {hookpoint}, or name one of these"
        )
    return hookpoint


def hookpoint_and_model(stats: ActivationStats, hookpoint: str | None) -> tuple[str, ModelLayout]:
    """The one hookpoint that a method looks at, and the model with its width alone.

    Raises:
        IdentificationError: see `check_languages` and `one_hookpoint`.
    """
    check_languages(stats)
    hookpoint = one_hookpoint(stats, hookpoint)
    return hookpoint, model_at(stats.model, hookpoint)


def model_at(model: ModelLayout, *hookpoints: str) -> ModelLayout:
    """The model, with the widths of `hookpoints` alone."""
    narrower = {at: model.narrower[at] for at in hookpoints if at in model.narrower}
    return replace(model, widths={at: model.widths[at] for at in hookpoints}, narrower=narrower)


def check_rate(name: str, rate: float) -> None:
    """Raise IdentificationError unless `rate` is a number between 0 and 1."""
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise IdentificationError(f"{name} must be a number between 0 and 1, not {rate!r}")


def check_whole(name: str, number: int, least: int = 0) -> int:
    """`number` as an int of at least `least`; raises IdentificationError."""
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise IdentificationError(
            f"{name} must be a whole number of at least {least}, not {number!r}"
        )
    return number


def probabilities(stats: ActivationStats, hookpoint: str) -> NDArray[np.float32]:
    """Firing rate [language, layer, neuron]: how often above 0, over tokens; NaN at what is no
    neuron, beyond the width of a layer.

    The quotient is taken in float64 and rounded to float32. That is what dividing in float32
    gives as long as counts stay below 2**24, where the published scripts' own division begins to
    round the counts themselves; thresholds found here therefore equal theirs digit for digit.
    """
    return over_tokens(stats, hookpoint, "positive")


def over_tokens(
    stats: ActivationStats, hookpoint: str, name: str, dtype: type = np.float32
) -> NDArray[Any]:
    """Counts [language, layer, neuron] over the tokens that reached the layer."""
    counts, tokens = stats.get(hookpoint, name), np.maximum(1, stats.tokens_at_layers())
    rates: NDArray[Any] = np.empty(counts.shape, dtype)
    for number, reached in enumerate(tokens.astype(np.float64)):
        rates[number] = counts[number] / reached[:, None]
    return only_neurons(rates, stats.model, hookpoint)


def only_neurons(values: NDArray[Any], model: ModelLayout, hookpoint: str) -> NDArray[Any]:
    """`values` [language, layer, neuron], in the place of those that are of no neuron NaN."""
    if hookpoint in model.narrower:
        values[:, model.beyond(hookpoint)] = np.nan
    return values


def kth_value(values: NDArray[np.float32], rate: float) -> np.float32:
    """The round(rate * N)-th smallest of all N values that are no NaN, counted from 1 as
    `torch.kthvalue` does."""
    # A copy, partitioned in place: np.partition would hold two beside the original.
    flat = values.flatten()
    missing = np.isnan(flat)
    flat = flat[~missing] if missing.any() else flat
    k = min(max(round(flat.size * rate), 1), flat.size)
    flat.partition(k - 1)
    return np.float32(flat[k - 1])


def lowest(scores: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Sorted flat positions of the `count` lowest finite scores; of equal ones the first win.

    Positions in a [layer, neuron] array are in the order (layer, neuron), so that the choice among
    ties is the same everywhere.
    """
    flat = scores.reshape(-1)
    count = min(count, int(np.isfinite(flat).sum()))
    if count == 0:
        return np.zeros(0, np.int64)
    last = np.partition(flat, count - 1)[count - 1]
    below = np.flatnonzero(flat < last)
    tied = np.flatnonzero(flat == last)[: count - below.size]
    return np.sort(np.concatenate([below, tied])).astype(np.int64)


def by_place(
    flat: NDArray[np.int64], model: ModelLayout, hookpoint: str
) -> dict[Place, NDArray[np.int32]]:
    """Sorted flat positions in [layer, neuron] as sorted indices of each layer that has some."""
    width = model.widths[hookpoint]
    borders = np.searchsorted(flat, np.arange(len(model.layers) + 1) * width)
    return {
        (hookpoint, layer): (flat[start:end] - number * width).astype(np.int32)
        for number, (layer, start, end) in enumerate(
            zip(model.layers, borders, borders[1:], strict=False)
        )
        if start < end
    }


def enough_at(neurons: float, total: int) -> str:
    """The `top_rate` that keeps so many of `total` neurons, to three digits, rounded up."""
    rate = neurons / total
    digits = 2 - math.floor(math.log10(rate))
    return f"{min(1, math.ceil(rate * 10**digits) / 10**digits):.{max(0, digits)}g}"


def share(rate: float, model: ModelLayout, hookpoint: str) -> int:
    """round(rate * layers * neurons), as the published scripts count."""
    return round(model.neurons(hookpoint) * rate)
