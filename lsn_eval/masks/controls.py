"""Controls: as many random neurons as a language has, layer by layer, of no language at all."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import MaskError
from lsn_eval.models.layout import Place

if TYPE_CHECKING:
    from lsn_eval.masks.mask import NeuronMask


def draw_control(mask: NeuronMask, language: str, number: int) -> dict[Place, NDArray[np.int32]]:
    """Control `number` for `language`: as many random neurons at every hookpoint and layer,
    none of any language, the same for the same mask and number on every machine.

    The generator is `numpy.random.RandomState`, whose stream NumPy keeps for good; it is
    seeded with number, language, hookpoint and layer.

    Raises:
        MaskError: a layer has fewer neurons left than the language has there.
    """
    drawn = {}
    for hookpoint, layer in mask.places(language):
        indices = mask.indices(language, hookpoint, layer)
        is_free = np.ones(mask.model.widths[hookpoint], dtype=bool)
        for other in mask.languages:
            is_free[mask.indices(other, hookpoint, layer)] = False
        free = np.flatnonzero(is_free)
        if free.size < indices.size:
            raise MaskError(
                f"random{number}-{language} cannot be drawn: {language} has {indices.size} "
                f"neurons at {hookpoint} of layer {layer}, and only {free.size} there belong "
                "to no language; use a mask with fewer neurons"
            )
        seed = hashlib.sha256(f"{number}/{language}/{hookpoint}/{layer}".encode()).digest()
        generator = np.random.RandomState(int.from_bytes(seed[:4], "little"))
        chosen = generator.permutation(free)[: indices.size]
        drawn[hookpoint, layer] = np.sort(chosen).astype(np.int32)
    return drawn
