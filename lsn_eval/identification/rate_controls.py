"""Controls that fire as often as the neurons they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.masks.content import MaskContent
from lsn_eval.masks.controls import free_neurons, seeded
from lsn_eval.models.layout import Place

NEAREST = 20
"""A control neuron is one of this many nearest in firing rate; one alone would make every control
of a language the same."""


def draw_rate_controls(
    mask: MaskContent, language: str, count: int, rates: Mapping[Place, NDArray[Any]]
) -> list[dict[Place, NDArray[np.int32]]]:
    """Controls 1 to `count` for `language`: layer by layer as `NeuronMask.draw_control`, and each
    neuron's stand-in close to it in how often it fires in the language.

    In a random order, each neuron takes a random one of the `NEAREST` free neurons of its layer
    with the nearest firing rate; if another took that one, the nearest left. The generator is
    seeded with number, language, hookpoint and layer.

    Args:
        rates: firing rate in `language` [neuron] at every place where it has neurons.

    Raises:
        MaskError: a layer has fewer neurons of no language than the language has there.
    """
    controls: list[dict[Place, NDArray[np.int32]]] = [{} for _ in range(count)]
    for place in mask.places(language):
        mine = mask.indices(language, *place)
        free = free_neurons(mask, language, 1, place)
        rate = rates[place]
        ranked = free[np.argsort(rate[free], kind="stable")]
        starts, window = _windows(rate[ranked], rate[mine])
        for number, control in enumerate(controls, start=1):
            generator = seeded("rate", number, language, *place)
            order = generator.permutation(mine.size)
            proposals = starts[order] + generator.randint(0, window, size=mine.size)
            chosen = _each_once(proposals, rate[ranked], rate[mine[order]])
            control[place] = np.sort(ranked[chosen]).astype(np.int32)
    return controls


def _windows(free: NDArray[Any], wanted: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """For each `wanted` rate, where in the sorted rates `free` the nearest ones start; and how
    many they are."""
    window = min(NEAREST, free.size)
    starts = np.clip(np.searchsorted(free, wanted) - window, 0, free.size - window)
    for _ in range(window):
        after = np.minimum(starts + window, free.size - 1)
        closer = np.abs(free[after] - wanted) < np.abs(free[starts] - wanted)
        starts = starts + ((starts + window < free.size) & closer)
    return starts, window


def _each_once(
    proposals: NDArray[np.int64], free: NDArray[Any], wanted: NDArray[Any]
) -> NDArray[np.int64]:
    """The proposed positions in `free`, those proposed a second time replaced by the nearest rate
    that is left."""
    chosen = proposals.copy()
    first = np.zeros(chosen.size, np.bool_)
    first[np.unique(chosen, return_index=True)[1]] = True
    used = np.zeros(free.size, np.bool_)
    used[chosen[first]] = True
    for again in np.flatnonzero(~first):
        left = np.flatnonzero(~used)
        nearest = left[np.argmin(np.abs(free[left] - wanted[again]))]
        used[nearest] = True
        chosen[again] = nearest
    return chosen
