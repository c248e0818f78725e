"""`MaskContent`: what a mask says, as plain as it stands in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import MaskError
from lsn_eval.masks.names import MaskMethod
from lsn_eval.models.hookpoints import HOOKPOINTS
from lsn_eval.models.layout import ModelLayout, Place
from lsn_eval.wording.lists import listed


@dataclass(frozen=True, eq=False)
class MaskContent:
    """Neurons per language, hookpoint and layer, unchecked: `NeuronMask` is this, checked."""

    model: ModelLayout
    languages: tuple[str, ...]
    """In order, also those without neurons."""
    method: MaskMethod
    provenance: Mapping[str, Any]
    neurons_of: Mapping[str, Mapping[Place, NDArray[np.int32]]]
    """`neurons_of[who][hookpoint, layer]`, indices [neuron]; `who` is a language or a control."""
    values_of: Mapping[str, Mapping[Place, Mapping[str, NDArray[np.float32]]]]
    """`values_of[who][hookpoint, layer][statistic]` [neuron], in the order of the indices."""

    @property
    def who(self) -> tuple[str, ...]:
        """Every language in order, then every stored control."""
        return tuple(self.neurons_of)

    @cached_property
    def hookpoints(self) -> tuple[str, ...]:
        """Hookpoints that some language has neurons at; those of the model's widths if none has."""
        used = {hookpoint for places in self.neurons_of.values() for hookpoint, _ in places}
        return tuple(at for at in HOOKPOINTS if at in (used or self.model.widths))

    @cached_property
    def _ranks(self) -> dict[Place, int]:
        return {place: n for n, place in enumerate(product(HOOKPOINTS, self.model.layers))}

    def places(self, who: str) -> tuple[Place, ...]:
        """Hookpoints and layers at which `who` has neurons, in the model's order."""
        return tuple(sorted(self.at_places(who), key=self._ranks.__getitem__))

    def indices(self, who: str, hookpoint: str, layer: str | int) -> NDArray[np.int32]:
        """Sorted neuron indices [neuron] of `who` at one place; empty where it has none.

        Raises:
            MaskError: the mask's model has no such layer, or it says nothing of the hookpoint.
        """
        indices = self.at_places(who).get((hookpoint, str(layer)))
        if indices is not None:
            return indices
        for kind, name, there in (
            ("hookpoint", hookpoint, tuple(self.model.widths)),
            ("layer", str(layer), self.model.layers),
        ):
            if name not in there:
                raise MaskError(f"{kind} {name!r} is not in this mask; it has {listed(there, 40)}")
        return np.zeros(0, np.int32)

    def at_places(self, who: str) -> Mapping[Place, NDArray[np.int32]]:
        """Indices [neuron] of `who` at every place where it has neurons."""
        if who not in self.neurons_of:
            raise MaskError(self.unknown(who))
        return self.neurons_of[who]

    def count(self, who: str) -> int:
        """Number of neurons of `who` over all hookpoints and layers."""
        return sum(indices.size for indices in self.at_places(who).values())

    def stored(self, who: str, hookpoint: str, layer: str | int) -> Mapping[str, Any]:
        """Every stored statistic at one place, by name, each float32 [neuron]."""
        return self.values_of.get(who, {}).get((hookpoint, str(layer)), {})

    def items(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Every array with its key in the file, `WHO/HOOKPOINT/LAYER[/STAT]`, sorted by key."""
        arrays: dict[str, NDArray[Any]] = {}
        for who, places in self.neurons_of.items():
            for (hookpoint, layer), indices in places.items():
                key = f"{who}/{hookpoint}/{layer}"
                arrays[key] = indices
                stored = self.stored(who, hookpoint, layer)
                arrays |= {f"{key}/{statistic}": array for statistic, array in stored.items()}
        yield from sorted(arrays.items())

    @cached_property
    def digest(self) -> str:
        """SHA-256 over neurons and values, not over the metadata; the same for equal masks."""
        sha = hashlib.sha256()
        for key, array in self.items():
            sha.update(f"{key} {array.dtype.str} {array.size}\n".encode())
            sha.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        return sha.hexdigest()

    def unknown(self, who: str) -> str:
        """An error text for a language that the mask does not have."""
        return f"{who!r} is not in this mask; its languages are {', '.join(self.languages)}"
