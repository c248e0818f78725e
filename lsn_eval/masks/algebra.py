"""Union, difference and overlap of masks, language by language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsn_eval.errors import MaskError
from lsn_eval.masks.names import STATISTICS, MaskMethod
from lsn_eval.models.layout import ModelLayout, Place

if TYPE_CHECKING:
    from lsn_eval.masks.mask import NeuronMask

Operation = Literal["union", "difference", "overlap"]
_SETS: dict[str, Callable[..., Any]] = {
    "union": np.union1d,
    "difference": np.setdiff1d,
    "overlap": np.intersect1d,
}


def _by_place(mask: NeuronMask, language: str) -> Mapping[Place, NDArray[np.int32]]:
    if language not in mask.languages:
        return {}
    return {place: mask.indices(language, *place) for place in mask.places(language)}


def combine(mask: NeuronMask, other: NeuronMask, operation: Operation) -> NeuronMask:
    """Languages and neurons by `operation`; controls are dropped, as they match no more.

    A statistic is kept where both masks that hold a neuron agree on it, and dropped otherwise:
    it would be of another corpus or another model.
    """
    mine, theirs = mask.model, other.model
    widths_differ = any(
        theirs.widths.get(hookpoint, width) != width for hookpoint, width in mine.widths.items()
    )
    types_differ = mine.type and theirs.type and mine.type != theirs.type
    if mine.layers != theirs.layers or widths_differ or types_differ:
        raise MaskError(
            f"the {operation} of masks of different models was asked for: {_described(mine)} and "
            f"{_described(theirs)}; both must be of one model"
        )
    if operation == "union":
        languages = list(dict.fromkeys(mask.languages + other.languages))
    elif operation == "difference":
        languages = list(mask.languages)
    else:
        languages = [language for language in mask.languages if language in other.languages]
    neurons: dict[str, dict[str, dict[str, ArrayLike]]] = {}
    values: dict[str, dict[str, dict[str, dict[str, ArrayLike]]]] = {}
    for language in languages:
        a, b = _by_place(mask, language), _by_place(other, language)
        for hookpoint, layer in dict.fromkeys([*a, *b]):
            left, right = (side.get((hookpoint, layer), np.zeros(0, np.int32)) for side in (a, b))
            combined = _SETS[operation](left, right)
            neurons.setdefault(language, {}).setdefault(hookpoint, {})[layer] = combined
            kept = values.setdefault(language, {}).setdefault(hookpoint, {}).setdefault(layer, {})
            for statistic in STATISTICS:
                place = (language, hookpoint, layer)
                array = _shared((mask, other), place, statistic, combined)
                if array is not None:
                    kept[statistic] = array
    return type(mask)(
        neurons,
        model=replace(mine, widths={**theirs.widths, **mine.widths}),
        languages=languages,
        method=MaskMethod(operation, {"of": [mask.digest, other.digest]}),
        values=values,
    )


def _shared(
    masks: tuple[NeuronMask, NeuronMask],
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
