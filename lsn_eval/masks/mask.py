"""`NeuronMask`: for each language, the neurons that are specific to it.

A mask is immutable, torch-free and checked against itself whenever it is made, so a mask that
exists is a mask that can be used. The file format is in `lsn_eval/masks/files.py`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsn_eval.errors import MaskError
from lsn_eval.masks import algebra, controls
from lsn_eval.masks.checks import check_mask, check_model
from lsn_eval.masks.names import CONTROL_NAME, STATISTICS, MaskMethod
from lsn_eval.models.hookpoints import DEFAULT_HOOKPOINT, HOOKPOINTS, ModelHookpoints
from lsn_eval.models.layout import ModelLayout, Place


def _canonical_indices(indices: ArrayLike, where: str) -> NDArray[np.int32]:
    array = np.asarray(indices)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise MaskError(
            f"{where}: a list of whole numbers was expected, not {array.dtype} of shape "
            f"{list(array.shape)}"
        )
    steps = np.diff(array.astype(np.int64))
    if array.size and (steps <= 0).any():
        wrong = "twice" if (steps == 0).any() else "out of order"
        at = int(array[1:][steps <= 0][0])
        raise MaskError(f"{where}: neuron {at} stands {wrong}; indices must be sorted and unique")
    canonical = array.astype(np.int32)
    canonical.setflags(write=False)
    return canonical


class NeuronMask:
    """Neurons per language, hookpoint and layer, with what is known about them.

    Args:
        neurons: `neurons[who][hookpoint][layer]`, sorted unique indices [neuron]. `who` is a
            language or a control such as `random1-de`. Empty places may be left out.
        model: the model they belong to.
        languages: the languages in order, also those without neurons; by default those of
            `neurons`, in its order.
        method: how they were found.
        values: `values[who][hookpoint][layer][statistic]`, float32 [neuron] in the order of the
            indices: what a condition such as `de:mean` writes.
        provenance: anything else worth keeping, JSON-serialisable: corpora and tokens per
            language, package versions, the command.

    Raises:
        MaskError: it contradicts itself; the message says where.
    """

    def __init__(
        self,
        neurons: Mapping[str, Mapping[str, Mapping[str, ArrayLike]]],
        *,
        model: ModelLayout,
        languages: Sequence[str] | None = None,
        method: MaskMethod | None = None,
        values: Mapping[str, Mapping[str, Mapping[str, Mapping[str, ArrayLike]]]] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.method = method or MaskMethod("unknown")
        self.provenance: dict[str, Any] = dict(provenance or {})
        if languages is None:
            languages = [who for who in neurons if not CONTROL_NAME.fullmatch(who)]
        self.languages: tuple[str, ...] = tuple(languages)
        self._neurons: dict[str, dict[Place, NDArray[np.int32]]] = {
            language: {} for language in self.languages
        }
        for who, by_hookpoint in neurons.items():
            places = self._neurons.setdefault(who, {})
            for hookpoint, by_layer in by_hookpoint.items():
                for layer, given in by_layer.items():
                    indices = _canonical_indices(given, f"{who}/{hookpoint}/{layer}")
                    if indices.size:
                        places[hookpoint, layer] = indices
        self._values: dict[str, dict[Place, dict[str, NDArray[np.float32]]]] = {}
        for who, value_hookpoints in (values or {}).items():
            for hookpoint, value_layers in value_hookpoints.items():
                for layer, statistics in value_layers.items():
                    for statistic, array in statistics.items():
                        canonical = np.array(array, dtype=np.float32)
                        canonical.setflags(write=False)
                        if canonical.size:
                            by_place = self._values.setdefault(who, {})
                            by_place.setdefault((hookpoint, layer), {})[statistic] = canonical
        check_mask(self, self._neurons, self._values)

    # What it holds ---------------------------------------------------------------------------

    @property
    def who(self) -> tuple[str, ...]:
        """Every language in order, then every stored control."""
        return tuple(self._neurons)

    @cached_property
    def hookpoints(self) -> tuple[str, ...]:
        """Hookpoints that some language has neurons at; those of the model's widths if none has."""
        used = {hookpoint for places in self._neurons.values() for hookpoint, _ in places}
        return tuple(
            hookpoint for hookpoint in HOOKPOINTS if hookpoint in (used or self.model.widths)
        )

    def places(self, who: str) -> tuple[Place, ...]:
        """Hookpoints and layers at which `who` has neurons, in the model's order."""
        position = {layer: number for number, layer in enumerate(self.model.layers)}
        return tuple(
            sorted(
                self._of(who),
                key=lambda place: (HOOKPOINTS.index(place[0]), position[place[1]]),
            )
        )

    def indices(self, who: str, hookpoint: str, layer: str | int) -> NDArray[np.int32]:
        """Sorted neuron indices [neuron] of `who` at one place; empty where it has none."""
        return self._of(who).get((hookpoint, str(layer)), np.zeros(0, np.int32))

    def neurons(self, who: str, hookpoint: str | None = None) -> NDArray[np.int64]:
        """Layer and neuron index [neuron, 2] of every neuron of `who`, sorted.

        `hookpoint` may be left out where the mask has one. Layers are counted in the model's
        order, which is their number in a plain decoder.
        """
        if hookpoint is None:
            if len(self.hookpoints) > 1:
                raise MaskError(
                    f"this mask has several hookpoints ({', '.join(self.hookpoints)}); say which: "
                    f"neurons({who!r}, hookpoint=...)"
                )
            hookpoint = (self.hookpoints or (DEFAULT_HOOKPOINT,))[0]
        rows = [
            np.stack([np.full(indices.size, number), indices], axis=1)
            for number, layer in enumerate(self.model.layers)
            if (indices := self.indices(who, hookpoint, layer)).size
        ]
        return np.concatenate(rows).astype(np.int64) if rows else np.zeros((0, 2), np.int64)

    def count(self, who: str) -> int:
        """Number of neurons of `who` over all hookpoints and layers."""
        return sum(indices.size for indices in self._of(who).values())

    def layer_counts(self, who: str) -> dict[str, list[int]]:
        """Neurons per layer, in the model's order, for each hookpoint of the mask."""
        return {
            hookpoint: [
                int(self.indices(who, hookpoint, layer).size) for layer in self.model.layers
            ]
            for hookpoint in self.hookpoints
        }

    def statistics(self, who: str) -> tuple[str, ...]:
        """Statistics stored for every neuron of `who`."""
        by_place = self._values.get(who, {})
        stored = [set(by_place.get(place, {})) for place in self._of(who)]
        common = set.intersection(*stored) if stored else set()
        return tuple(statistic for statistic in STATISTICS if statistic in common)

    def stored(self, who: str, hookpoint: str, layer: str | int) -> Mapping[str, Any]:
        """Every stored statistic at one place, by name, each float32 [neuron]."""
        return self._values.get(who, {}).get((hookpoint, str(layer)), {})

    def values(
        self, who: str, hookpoint: str, layer: str | int, statistic: str
    ) -> NDArray[np.float32]:
        """Stored values [neuron] of one statistic, in the order of `indices`."""
        try:
            return self._values[who][hookpoint, str(layer)][statistic]
        except KeyError:
            stored = ", ".join(self.statistics(who)) or "no statistics"
            raise MaskError(
                f"the mask stores no {statistic!r} for {who}; it stores {stored}. Identify the "
                "neurons with recorded statistics, or give a number"
            ) from None

    def controls(self, language: str) -> tuple[int, ...]:
        """Numbers of the controls stored for `language`."""
        self._of(language)
        matches = (CONTROL_NAME.fullmatch(who) for who in self._neurons)
        return tuple(sorted(int(m[1]) for m in matches if m and m[2] == language))

    def items(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Every array with its key in the file, `WHO/HOOKPOINT/LAYER[/STAT]`, sorted by key."""
        arrays: dict[str, NDArray[Any]] = {}
        for who, places in self._neurons.items():
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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NeuronMask) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        counts = ", ".join(f"{language}: {self.count(language)}" for language in self.languages)
        return f"NeuronMask({self.method.name}, {counts}, sha256 {self.digest[:12]})"

    # Set algebra -----------------------------------------------------------------------------

    def union(self, other: NeuronMask) -> NeuronMask:
        """For each language of either mask, the neurons of one or the other."""
        return algebra.combine(self, other, "union")

    def difference(self, other: NeuronMask) -> NeuronMask:
        """For each language of this mask, its neurons that `other` does not give it."""
        return algebra.combine(self, other, "difference")

    def overlap(self, other: NeuronMask) -> NeuronMask:
        """For each language of both masks, the neurons that are in both."""
        return algebra.combine(self, other, "overlap")

    __or__, __sub__, __and__ = union, difference, overlap

    def select(self, languages: Iterable[str]) -> NeuronMask:
        """The mask of some of its languages, their controls included.

        The controls stay as they were drawn: they avoid the neurons of every language that the
        whole mask has.
        """
        wanted = list(dict.fromkeys(languages))
        for language in wanted:
            if language not in self.languages:
                raise MaskError(self.unknown(language))

        def belongs(who: str) -> bool:
            control = CONTROL_NAME.fullmatch(who)
            return (control[2] if control else who) in wanted

        return self._with(
            {who: places for who, places in self._neurons.items() if belongs(who)},
            {who: places for who, places in self._values.items() if belongs(who)},
            languages=wanted,
        )

    # Controls --------------------------------------------------------------------------------

    def draw_control(self, language: str, number: int) -> dict[Place, NDArray[np.int32]]:
        """Control `number` for `language`, drawn afresh: see `lsn_eval.masks.controls`."""
        return controls.draw_control(self, language, number)

    def with_controls(self, count: int) -> NeuronMask:
        """The mask with controls 1 to `count` stored for every language that has neurons."""
        neurons = {who: dict(places) for who, places in self._neurons.items()}
        for language in self.languages:
            if self.count(language):
                for number in range(1, count + 1):
                    who = f"random{number}-{language}"
                    neurons.setdefault(who, self.draw_control(language, number))
        return self._with(neurons, self._values)

    def with_values(
        self, values: Mapping[str, Mapping[str, Mapping[str, Mapping[str, ArrayLike]]]]
    ) -> NeuronMask:
        """The mask with other stored statistics: `values[who][hookpoint][layer][statistic]`."""
        by_place = {
            who: {
                (hookpoint, layer): statistics
                for hookpoint, by_layer in by_hookpoint.items()
                for layer, statistics in by_layer.items()
            }
            for who, by_hookpoint in values.items()
        }
        return self._with(self._neurons, by_place)

    def _with(
        self,
        neurons: Mapping[str, Mapping[Place, ArrayLike]],
        values: Mapping[str, Mapping[Place, Mapping[str, ArrayLike]]],
        languages: Sequence[str] | None = None,
    ) -> NeuronMask:
        def nested(places: Mapping[Place, Any]) -> dict[str, dict[str, Any]]:
            tree: dict[str, dict[str, Any]] = {}
            for (hookpoint, layer), content in places.items():
                tree.setdefault(hookpoint, {})[layer] = content
            return tree

        return NeuronMask(
            {who: nested(places) for who, places in neurons.items()},
            model=self.model,
            languages=self.languages if languages is None else languages,
            method=self.method,
            values={who: nested(places) for who, places in values.items()},
            provenance=self.provenance,
        )

    # Files -----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file; it appears whole or not at all."""
        from lsn_eval.masks.files import save_mask

        save_mask(self, path)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> NeuronMask:
        """Read and check a mask file, or a shipped mask by its name such as `demo/planted`."""
        from lsn_eval.masks.files import load_mask

        return load_mask(path)

    def check_model(self, hookpoints: ModelHookpoints) -> None:
        """Hold the mask against a loaded model: see `lsn_eval.masks.checks.check_model`."""
        check_model(self, hookpoints)

    def _of(self, who: str) -> dict[Place, NDArray[np.int32]]:
        if who not in self._neurons:
            raise MaskError(self.unknown(who))
        return self._neurons[who]

    def unknown(self, who: str) -> str:
        """An error text for a language that the mask does not have."""
        return f"{who!r} is not in this mask; its languages are {', '.join(self.languages)}"
