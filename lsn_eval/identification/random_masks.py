"""Masks of random neurons, made without recording anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lsn_eval.errors import MaskError
from lsn_eval.identification.random import random_neurons
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.masks.names import MaskMethod
from lsn_eval.models.hookpoints import DEFAULT_HOOKPOINT, HOOKPOINTS
from lsn_eval.models.layout import ModelLayout


def random_like(mask: NeuronMask, seed: int) -> NeuronMask:
    """For each language as many random neurons as `mask` has in every layer, of no language.

    They are control number `seed` of the mask, under the language's own name; their stored values
    are taken over where the mask stores that control.

    Raises:
        MaskError: a seed below 1, or too few neurons left in some layer.
    """
    if seed < 1:
        raise MaskError(f"seed {seed}: controls are numbered from 1")
    neurons: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for language in mask.languages:
        stored = f"random{seed}-{language}"
        if stored in mask.who:
            drawn = {place: mask.indices(stored, *place) for place in mask.places(stored)}
        else:
            drawn = mask.draw_control(language, seed)
        for (hookpoint, layer), indices in drawn.items():
            neurons.setdefault(language, {}).setdefault(hookpoint, {})[layer] = indices
            if stored in mask.who:
                values.setdefault(language, {}).setdefault(hookpoint, {})[layer] = {
                    statistic: mask.values(stored, hookpoint, layer, statistic)
                    for statistic in mask.statistics(stored)
                }
    return NeuronMask(
        neurons,
        model=mask.model,
        languages=mask.languages,
        method=MaskMethod("random", {"like": mask.digest, "seed": seed}),
        values=values,
    )


def random_mask(
    languages: Sequence[str],
    *,
    layers: int,
    width: int,
    hookpoint: str = DEFAULT_HOOKPOINT,
    top_rate: float = 0.01,
    seed: int = 0,
    model_type: str | None = None,
) -> NeuronMask:
    """`round(top_rate * layers * width)` random neurons, dealt out to the languages in turn."""
    if hookpoint not in HOOKPOINTS:
        raise MaskError(f"hookpoint {hookpoint!r}: one of {', '.join(HOOKPOINTS)} was expected")
    model = ModelLayout.numbered(layers, {hookpoint: width}, type=model_type)
    neurons = random_neurons(tuple(languages), model, hookpoint, top_rate=top_rate, seed=seed)
    return NeuronMask(
        neurons,
        model=model,
        languages=languages,
        method=MaskMethod("random", {"hookpoint": hookpoint, "top_rate": top_rate, "seed": seed}),
    )
