"""Random neurons: the baseline that every method has to beat (as in Tang et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lsn_eval.errors import MaskError
from lsn_eval.identification.selection import (
    ENOUGH,
    IdentificationError,
    Selection,
    check_rate,
    check_whole,
    enough_at,
    hookpoint_and_model,
    share,
)
from lsn_eval.masks.content import MaskContent
from lsn_eval.masks.imports import model_layout
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.masks.names import MaskMethod
from lsn_eval.models.hookpoints import DEFAULT_HOOKPOINT, HOOKPOINTS
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics import ActivationStats


def random(
    stats: ActivationStats,
    *,
    hookpoint: str | None = None,
    top_rate: float = 0.01,
    seed: int = 0,
) -> Selection:
    """`round(top_rate * layers * neurons)` random neurons, dealt out to the languages in turn.

    Tang et al. (2024, arXiv 2402.16438), random selection, which leaves open how many each
    language gets: here as many in all as LAPE keeps at the same `top_rate`, in equal shares that
    do not overlap. For random neurons that match a mask layer by layer, use its controls.
    """
    hookpoint, model = hookpoint_and_model(stats, hookpoint)
    return _dealt_out(stats.languages, model, hookpoint, top_rate, seed)


def _dealt_out(
    languages: Sequence[str], model: ModelLayout, hookpoint: str, top_rate: float, seed: int
) -> Selection:
    """The generator is `numpy.random.RandomState`, whose stream NumPy keeps for good."""
    check_rate("top_rate", top_rate)
    if check_whole("seed", seed) > 2**32 - 1:
        raise IdentificationError(f"seed must be below 2**32, not {seed}")
    neurons = np.flatnonzero(~model.beyond(hookpoint))
    drawn = np.random.RandomState(seed).permutation(neurons)[: share(top_rate, model, hookpoint)]
    hands = [np.sort(drawn[number :: len(languages)]) for number in range(len(languages))]
    remedy = f"top_rate {enough_at(ENOUGH * len(languages), neurons.size)} gives it {ENOUGH}"
    return Selection.at(languages, model, hookpoint, hands, lambda row: remedy)


def random_like(mask: NeuronMask, seed: int) -> NeuronMask:
    """For each language as many random neurons as `mask` has in every layer, of no language.

    They are control number `seed` of the mask, under the language's own name; their stored values
    are taken over where the mask stores that control.

    Raises:
        MaskError: a seed below 1, or too few neurons left in some layer.
    """
    if seed < 1:
        raise MaskError(f"seed {seed}: controls are numbered from 1")
    controls = {language: f"random{seed}-{language}" for language in mask.languages}
    return NeuronMask.of(
        MaskContent(
            model=mask.model,
            languages=mask.languages,
            method=MaskMethod("random", {"like": mask.digest, "seed": seed}),
            provenance={},
            neurons_of={
                language: mask.neurons_of.get(control) or mask.draw_control(language, seed)
                for language, control in controls.items()
            },
            values_of={
                language: mask.values_of.get(control, {}) for language, control in controls.items()
            },
        )
    )


def random_mask(
    languages: Sequence[str],
    *,
    hookpoint: str = DEFAULT_HOOKPOINT,
    top_rate: float = 0.01,
    seed: int = 0,
    **model: Any,
) -> NeuronMask:
    """`round(top_rate * layers * width)` random neurons, dealt out to the languages in turn.

    Args:
        model: see `lsn_eval.masks.imports.model_layout`.
    """
    if hookpoint not in HOOKPOINTS:
        raise MaskError(f"hookpoint {hookpoint!r}: one of {', '.join(HOOKPOINTS)} was expected")
    layout = model_layout([hookpoint], **model)
    selection = _dealt_out(languages, layout, hookpoint, top_rate, seed)
    method = MaskMethod("random", {"hookpoint": hookpoint, "top_rate": top_rate, "seed": seed})
    return NeuronMask.of(MaskContent(layout, tuple(languages), method, {}, selection.neurons, {}))
