"""Controls: as many random neurons as a language has, layer by layer, of no language at all."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import MaskError
from lsn_eval.masks.content import MaskContent
from lsn_eval.models.layout import Place


def draw_control(mask: MaskContent, language: str, number: int) -> dict[Place, NDArray[np.int32]]:
    """Control `number` for `language`: as many random neurons at every hookpoint and layer,
    none of any language, the same for the same mask and number on every machine.

    Raises:
        MaskError: a layer has fewer neurons left than the language has there.
    """
    drawn = {}
    for place in mask.places(language):
        free = free_neurons(mask, language, number, place)
        generator = seeded(number, language, *place)
        chosen = generator.permutation(free)[: mask.indices(language, *place).size]
        drawn[place] = np.sort(chosen).astype(np.int32)
    return drawn


def free_neurons(
    mask: MaskContent, language: str, number: int, place: Place
) -> NDArray[np.signedinteger]:
    """Neurons [neuron] of no language at one place, from which a control of `language` is drawn.

    Raises:
        MaskError: they are fewer than the language has there.
    """
    is_free = np.ones(mask.model.width(*place), dtype=bool)
    for other in mask.languages:
        is_free[mask.indices(other, *place)] = False
    free, wanted = np.flatnonzero(is_free), mask.indices(language, *place).size
    if free.size < wanted:
        raise MaskError(
            f"random{number}-{language} cannot be drawn: {language} has {wanted} neurons at "
            f"{place[0]} of layer {place[1]}, and only {free.size} there belong to no language; "
            "use a mask with fewer neurons"
        )
    return free


def seeded(*names: str | int) -> np.random.RandomState:
    """A generator seeded with what it is for; NumPy keeps the stream of this one for good.

    It is the same object each time, since making one takes a hundred times as long as seeding it:
    the next call starts it anew.
    """
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    _GENERATOR.seed(int.from_bytes(digest[:4], "little"))
    return _GENERATOR


_GENERATOR = np.random.RandomState(0)
