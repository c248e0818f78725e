"""Union, difference and overlap of masks, language by language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def shared_by(mask: MaskContent, least: int, most: int | None = None) -> MaskContent:
    """Of each language the neurons that `least` to `most` languages have, this one among them;
    stored statistics stay with them, and controls are dropped, as they match no more.

    Raises:
        MaskError: no such number of languages.
    """
    most = least if most is None else most
    if not 1 <= least <= most <= len(mask.languages):
        raise MaskError(
            f"neurons of {least} to {most} languages were asked for, and the mask has "
            f"{len(mask.languages)}"
        )
    neurons: dict[str, dict[Place, NDArray[np.int32]]] = {name: {} for name in mask.languages}
    values: dict[str, dict[Place, dict[str, NDArray[np.float32]]]] = {
        name: {} for name in mask.languages
    }
    owners = owner_counts(mask)
    for language in mask.languages:
        for place, indices in mask.at_places(language).items():
            count = owners[place][indices]
            kept = (count >= least) & (count <= most)
            neurons[language][place] = indices[kept]
            stored = mask.stored(language, *place)
            values[language][place] = {name: array[kept] for name, array in stored.items()}
    parameters = {"of": mask.digest, "method": mask.method.name, "least": least, "most": most}
    method = MaskMethod("shared_by", parameters)
    return MaskContent(mask.model, mask.languages, method, {}, neurons, values)


def owner_counts(mask: MaskContent) -> dict[Place, NDArray[np.int64]]:
    """How many languages each neuron [neuron] belongs to, at every place where some has any."""
    counts: dict[Place, NDArray[np.int64]] = {}
    for language in mask.languages:
        for place, indices in mask.at_places(language).items():
            counts.setdefault(place, np.zeros(mask.model.widths[place[0]], np.int64))[indices] += 1
    return counts


_ONE_NEURON = ("mlp.gate", "mlp.up", "mlp.act", "mlp.down_in")
"""Hookpoints at which a number means the same neuron of the MLP."""


def written_at(mask: MaskContent, hookpoint: str) -> MaskContent:
    """The same neurons, controls and statistics, written at another hookpoint than they are of.

    The method's name says so, and with it every signature: `lape(mlp.gate>mlp.act)`.

    Raises:
        MaskError: the mask is not of one hookpoint at which a neuron has the same number there.
    """
    if not set(mask.hookpoints) | {hookpoint} <= set(_ONE_NEURON) or len(mask.hookpoints) != 1:
        raise MaskError(
            f"a mask at {', '.join(mask.hookpoints)} cannot be written at {hookpoint}: one "
            f"hookpoint of {', '.join(_ONE_NEURON)} was expected for either, where neurons have "
            "the same numbers"
        )
    [of] = mask.hookpoints

    def moved(tree: Mapping[str, Mapping[Place, Any]]) -> dict[str, dict[Place, Any]]:
        return {
            who: {(hookpoint, layer): entry for (_, layer), entry in places.items()}
            for who, places in tree.items()
        }

    each = mask.model.narrower.get(of)
    return MaskContent(
        replace(
            mask.model,
            widths={hookpoint: mask.model.widths[of]},
            narrower={hookpoint: each} if each else {},
        ),
        mask.languages,
        MaskMethod(f"{mask.method.name}({of}>{hookpoint})", mask.method.parameters),
        mask.provenance,
        moved(mask.neurons_of),
        moved(mask.values_of),
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
