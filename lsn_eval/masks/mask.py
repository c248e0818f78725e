"""`NeuronMask`: for each language, the neurons that are specific to it.

A mask is immutable, torch-free and checked against itself whenever it is made, so a mask that
exists is a mask that can be used. The file format is in `lsn_eval/masks/files.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsn_eval.errors import MaskError
from lsn_eval.masks.algebra import combine, shared_by, written_at
from lsn_eval.masks.checks import check_mask, check_model
from lsn_eval.masks.content import MaskContent
from lsn_eval.masks.controls import draw_control
from lsn_eval.masks.files import MASK_FILE, find_mask, read_mask, write_mask
from lsn_eval.masks.names import ADD_STATISTICS, CONTROL_NAME, MaskMethod, statistics_in_order
from lsn_eval.models.hookpoints import DEFAULT_HOOKPOINT, ModelHookpoints
from lsn_eval.models.layout import ModelLayout, Place
from lsn_eval.storage.hub import OnHub
from lsn_eval.storage.tensor_files import whole_numbers
from lsn_eval.wording.text_tables import markdown_table, markdown_text

T = TypeVar("T")


class NeuronMask(OnHub, MaskContent):
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

    FILE, ERROR = MASK_FILE, MaskError

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
        if languages is None:
            languages = [who for who in neurons if not CONTROL_NAME.fullmatch(who)]
        neurons_of: dict[str, dict[Place, NDArray[np.int32]]] = {name: {} for name in languages}
        for who, tree in neurons.items():
            neurons_of[who] = {
                place: indices
                for place, array in _by_place(tree).items()
                if (indices := _canonical_indices(array, f"{who}/{'/'.join(place)}")).size
            }
        values_of: dict[str, dict[Place, dict[str, NDArray[np.float32]]]] = {}
        for who, value_tree in (values or {}).items():
            values_of[who] = {}
            for place, statistics in _by_place(value_tree).items():
                for statistic, array in statistics.items():
                    canonical = np.array(array, dtype=np.float32)
                    canonical.setflags(write=False)
                    if canonical.size:
                        values_of[who].setdefault(place, {})[statistic] = canonical
        super().__init__(
            model=model,
            languages=tuple(languages),
            method=method or MaskMethod("unknown"),
            provenance=dict(provenance or {}),
            neurons_of=neurons_of,
            values_of=values_of,
        )
        check_mask(self)

    @staticmethod
    def of(content: MaskContent) -> NeuronMask:
        """The mask of this content; raises MaskError if it contradicts itself."""
        return NeuronMask(
            {who: _nested(places) for who, places in content.neurons_of.items()},
            model=content.model,
            languages=content.languages,
            method=content.method,
            values={who: _nested(places) for who, places in content.values_of.items()},
            provenance=content.provenance,
        )

    # What it holds ---------------------------------------------------------------------------

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

    def layer_counts(self, who: str) -> dict[str, list[int]]:
        """Neurons per layer, in the model's order, for each hookpoint of the mask."""
        return {
            at: [self.indices(who, at, layer).size for layer in self.model.layers]
            for at in self.hookpoints
        }

    def statistics(self, who: str) -> tuple[str, ...]:
        """Statistics stored for every neuron of `who`."""
        stored = [set(self.stored(who, *place)) for place in self.at_places(who)]
        common = set.intersection(*stored) if stored else set()
        return statistics_in_order(common)

    def values(
        self, who: str, hookpoint: str, layer: str | int, statistic: str
    ) -> NDArray[np.float32]:
        """Stored values [neuron] of one statistic, in the order of `indices`."""
        try:
            return self.stored(who, hookpoint, layer)[statistic]
        except KeyError:
            stored = ", ".join(self.statistics(who)) or "no statistics"
            raise MaskError(
                f"the mask stores no {statistic!r} for {who}; it stores {stored}: "
                f"{ADD_STATISTICS}, or give a number"
            ) from None

    def controls(self, language: str) -> tuple[int, ...]:
        """Numbers of the controls stored for `language`."""
        self.at_places(language)
        matches = map(CONTROL_NAME.fullmatch, self.who)
        return tuple(sorted(int(m[1]) for m in matches if m and m[2] == language))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NeuronMask) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def summary(self) -> tuple[str, list[list[str]]]:
        """What it was made of, and by language its neurons, layers, controls and statistics."""
        rows = [["language", "neurons", "layers", "controls", "statistics"]]
        for language in self.languages:
            layers = len({layer for _, layer in self.places(language)})
            figures = (self.count(language), layers, len(self.controls(language)))
            statistics = " ".join(self.statistics(language)) or "none"
            rows.append([language, *map(str, figures), statistics])
        of = f"{', '.join(self.hookpoints) or 'nowhere'} of {self.model.name or 'an unnamed model'}"
        return f"{self.method.name} at {of}, sha256 {self.digest[:12]}", rows

    def card(self, name: str) -> str:
        """What stands beside it on the Hub: its counts, where it is from, and how it is used."""
        title, counts = self.summary()
        layers = [["hookpoint", "layer", *self.languages]] + [
            [at, layer, *(str(self.indices(who, at, layer).size) for who in self.languages)]
            for at in self.hookpoints
            for layer in self.model.layers
        ]
        corpora = ", ".join(sorted(self.provenance.get("corpora", {}))) or "not said"
        condition = f"{self.languages[0]}:zero"
        return f"""---
library_name: lsn_eval
tags: [lsn_eval, language-specific-neurons]
---

# Language-specific neurons of {markdown_text(self.model.name or "a model")}

{markdown_text(title)}. Corpora: {markdown_text(corpora)}. SHA-256 of the neurons: `{self.digest}`.

{markdown_table(counts)}

    lm_eval --model lsn_hf --tasks TASKS \\
        --model_args pretrained=MODEL,mask=hf:{name},condition={condition}

{markdown_table(layers)}
"""

    # Set algebra -----------------------------------------------------------------------------

    def union(self, other: NeuronMask) -> NeuronMask:
        """For each language of either mask, the neurons of one or the other."""
        return NeuronMask.of(combine(self, other, "union"))

    def difference(self, other: NeuronMask) -> NeuronMask:
        """For each language of this mask, its neurons that `other` does not give it."""
        return NeuronMask.of(combine(self, other, "difference"))

    def overlap(self, other: NeuronMask) -> NeuronMask:
        """For each language of both masks, the neurons that are in both."""
        return NeuronMask.of(combine(self, other, "overlap"))

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
            languages=tuple(wanted),
            neurons_of={who: at for who, at in self.neurons_of.items() if belongs(who)},
            values_of={who: at for who, at in self.values_of.items() if belongs(who)},
        )

    def shared_by(self, least: int, most: int | None = None) -> NeuronMask:
        """Of each language the neurons that `least` to `most` languages have: 1 for those of it
        alone. Controls are dropped."""
        return NeuronMask.of(shared_by(self, least, most))

    def written_at(self, hookpoint: str) -> NeuronMask:
        """The mask with what was recorded at its hookpoint written at another: see
        `lsn_eval.masks.algebra.written_at`."""
        return NeuronMask.of(written_at(self, hookpoint))

    # Controls --------------------------------------------------------------------------------

    def draw_control(self, language: str, number: int) -> dict[Place, NDArray[np.int32]]:
        """Control `number` for `language`, drawn afresh: see `lsn_eval.masks.controls`."""
        return draw_control(self, language, number)

    def with_controls(self, count: int) -> NeuronMask:
        """The mask with controls 1 to `count` stored for every language that has neurons."""
        neurons = dict(self.neurons_of)
        for language in filter(self.count, self.languages):
            for number in range(1, count + 1):
                who = f"random{number}-{language}"
                if who not in neurons:
                    neurons[who] = self.draw_control(language, number)
        return self._with(neurons_of=neurons)

    def with_values(
        self, values: Mapping[str, Mapping[str, Mapping[str, Mapping[str, ArrayLike]]]]
    ) -> NeuronMask:
        """The mask with other stored statistics: `values[who][hookpoint][layer][statistic]`."""
        by_place = {who: _by_place(tree) for who, tree in values.items()}
        return self._with(values_of=by_place)

    def _with(self, **changes: Any) -> NeuronMask:
        content = {field.name: getattr(self, field.name) for field in fields(MaskContent)}
        return NeuronMask.of(MaskContent(**content | changes))

    # Files and models ------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file; it appears whole or not at all."""
        write_mask(self, path)

    @staticmethod
    def load(path: str | os.PathLike[str] | NeuronMask) -> NeuronMask:
        """Read a mask file, a shipped mask by its name such as `demo/planted`, or one on the Hub
        such as `hf:OWNER/NAME@REVISION`, and check all of it against itself. A mask is returned as
        it is.

        Raises:
            MaskError: not a mask file, a newer format, or a file that contradicts itself.
        """
        if isinstance(path, NeuronMask):
            return path
        source = find_mask(path)
        content, digest = read_mask(source)
        try:
            mask = NeuronMask.of(content)
        except MaskError as error:
            raise MaskError(f"{source}: {error}") from error
        if mask.digest != digest:
            raise MaskError(
                f"{source}: the neurons have digest {mask.digest[:12]} and the metadata says "
                f"{digest[:12]}: the file was changed after it was written; make it again"
            )
        return mask

    def check_model(self, hookpoints: ModelHookpoints) -> tuple[str, ...]:
        """Hold the mask against a loaded model: see `lsn_eval.masks.checks.check_model`."""
        return check_model(self, hookpoints)


def _canonical_indices(values: ArrayLike, where: str) -> NDArray[np.int32]:
    array = whole_numbers(values, where, 1, MaskError)
    steps = np.diff(array)
    if (steps <= 0).any():
        wrong = "twice" if (steps == 0).any() else "out of order"
        at = int(array[1:][steps <= 0][0])
        raise MaskError(f"{where}: neuron {at} stands {wrong}; indices must be sorted and unique")
    if array.size and array[-1] > np.iinfo(np.int32).max:
        raise MaskError(f"{where}: neuron {array[-1]} is outside any width")
    canonical = array.astype(np.int32)
    canonical.setflags(write=False)
    return canonical


def _by_place(tree: Mapping[str, Mapping[str, T]]) -> dict[Place, T]:
    """`[hookpoint, layer]` of what stands under `[hookpoint][layer]`."""
    return {(at, layer): entry for at, layers in tree.items() for layer, entry in layers.items()}


def _nested(places: Mapping[Place, T]) -> dict[str, dict[str, T]]:
    """`[hookpoint][layer]` of what stands under `[hookpoint, layer]`."""
    tree: dict[str, dict[str, T]] = {}
    for (hookpoint, layer), entry in places.items():
        tree.setdefault(hookpoint, {})[layer] = entry
    return tree
