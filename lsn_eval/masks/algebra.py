"""Union, difference and overlap of masks, language by language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import MaskError
from lsn_eval.masks.content import MaskContent
from lsn_eval.masks.names import MaskMethod
from lsn_eval.models.layout import ModelLayout, Place

Operation = Literal["union", "difference", "overlap"]
_SETS: dict[str, Callable[..., Any]] = {
    "union": np.union1d,
    "difference": np.setdiff1d,
    "overlap": np.intersect1d,
}


def combine(mask: MaskContent, other: MaskContent, operation: Operation) -> MaskContent:
    """Languages and neurons by `operation`; controls are dropped, as they match no more.

    A statistic is kept where both masks that hold a neuron agree on it, and dropped otherwise:
    it would be of another corpus or another model.

    Raises:
        MaskError: they are of different models.
    """
    mine, theirs = mask.model, other.model
    if not mine.fits(theirs):
        raise MaskError(
            f"the {operation} of masks of different models was asked for: {_described(mine)} and "
            f"{_described(theirs)}; both must be of one model"
        )
    languages = mask.languages
    if operation == "union":
        languages = tuple(dict.fromkeys(mask.languages + other.languages))
    elif operation == "overlap":
        languages = tuple(name for name in mask.languages if name in other.languages)
    neurons: dict[str, dict[Place, NDArray[np.int32]]] = {name: {} for name in languages}
    values: dict[str, dict[Place, dict[str, NDArray[np.float32]]]] = {
        name: {} for name in languages
    }
    for language in languages:
        a, b = (side.neurons_of.get(language, {}) for side in (mask, other))
        for place in dict.fromkeys([*a, *b]):
            left, right = (side.get(place, np.zeros(0, np.int32)) for side in (a, b))
            combined = _SETS[operation](left, right)
            neurons[language][place] = combined
            values[language][place] = {
                statistic: array
                for statistic in {**mask.stored(language, *place), **other.stored(language, *place)}
                if (array := _shared((mask, other), (language, *place), statistic, combined))
                is not None
            }
    return MaskContent(
        replace(
            mine,
            widths={**theirs.widths, **mine.widths},
            narrower={**theirs.narrower, **mine.narrower},
        ),
        languages,
        MaskMethod(operation, {"of": [mask.digest, other.digest]}),
        {},
        neurons,
        values,
    )


def _shared(
    masks: tuple[MaskContent, MaskContent],
    place: tuple[str, str, str],
    statistic: str,
    wanted: NDArray[np.int32],
) -> NDArray[np.float32] | None:
    """Values of `wanted` neurons known from either mask; None if unknown or contradictory."""
    result = np.full(wanted.size, np.nan, np.float32)
    for mask in masks:
        stored = mask.stored(*place).get(statistic)
        if stored is None:
            continue
        _, into, out_of = np.intersect1d(wanted, mask.indices(*place), return_indices=True)
        known = ~np.isnan(result[into])
        if (result[into][known] != stored[out_of][known]).any():
            return None
        result[into] = stored[out_of]
    return None if np.isnan(result).any() else result


def _described(model: ModelLayout) -> str:
    widths = ", ".join(f"{hookpoint} {width}" for hookpoint, width in model.widths.items())
    return f"{model.name or model.type or 'unnamed'} ({len(model.layers)} layers, {widths})"
