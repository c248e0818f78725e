"""Which neurons a language's facts are in: PROBELESS over the facts that a model predicts.

Facts of one relation and language are told apart by their activations, at the masks that were
filled rightly or over the whole text; each gets its ranking of all neurons of all layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lsn_eval.facts import probeless
from lsn_eval.facts.blanks import before_blank, masked_ids, without_spaces
from lsn_eval.facts.languages import by_relation
from lsn_eval.facts.predictions import FactsError, Prediction
from lsn_eval.recording.observing import Batch, observing
from lsn_eval.recording.recorded_model import RecordedModel

POSITIONS = ("mask", "tokens")


class FactNeurons:
    """A model whose neurons are ranked.

    Args:
        model: a loaded Hugging Face model that fills masks, or one that continues texts.
        hookpoint: where neurons are read; the authors' is `mlp.act`.
        positions: `mask`, the mean over the masks (of a model without masks, the last token before
            the blank); `tokens`, the mean over all tokens of the text, without those added at its
            ends.
        most: neurons to keep of each ranking; the authors compare 50.
        batch_size: texts that are run together.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        hookpoint: str = "mlp.act",
        positions: str = "mask",
        *,
        most: int = 50,
        batch_size: int = 32,
    ) -> None:
        if positions not in POSITIONS:
            raise FactsError(f"--positions {positions!r}: mask or tokens was expected")
        self._model = RecordedModel(model, [hookpoint])
        self._tokenizer, self._positions = tokenizer, positions
        self._most, self._batch_size = most, batch_size
        self._vocabulary = tokenizer.get_vocab()
        places = [(site.hookpoint, site.layer, site.width) for site in self._model.sites]
        self.names = [(at, layer, n) for at, layer, width in places for n in range(width)]
        """Hookpoint, layer and index of every neuron by its number."""

    def rank(
        self, facts: Sequence[Prediction]
    ) -> Iterator[tuple[Prediction, NDArray[np.int64], NDArray[np.float64]]]:
        """Of each predicted fact of one language its top neurons, by their numbers, the highest
        score first, and their scores. A relation with only one such fact has nothing to tell it
        from, and gives none."""
        for group in by_relation(fact for fact in facts if fact.known).values():
            if len(group) < 2:
                continue
            for fact, score in zip(group, probeless.scores(self.activations(group)), strict=True):
                top = probeless.ranking(score, self._most)
                yield fact, top, score[top]

    def activations(self, facts: Sequence[Prediction]) -> NDArray[np.float32]:
        """Mean activations [fact, neuron] at the positions."""
        rows = [self._row(fact) for fact in facts]
        pad = self._tokenizer.pad_token_id or 0
        means: list[NDArray[np.float32]] = []
        for start in range(0, len(rows), self._batch_size):
            part = rows[start : start + self._batch_size]
            ids = [np.array(ids, np.int64) for ids, _ in part]
            plain = Batch.of(ids, start, pad, np.zeros(0, np.int64))
            counted = np.zeros_like(plain.counted)
            for number, (_, places) in enumerate(part):
                counted[number, places] = True
            batch = Batch(plain.ids, plain.attention, counted, start)
            kept = {(site.hookpoint, site.layer): _Kept() for site in self._model.sites}
            with self._model.evaluating(), observing(self._model.sites, kept, batch):
                self._model.run(batch.ids, batch.attention)
            values = torch.cat(
                [kept[site.hookpoint, site.layer].values for site in self._model.sites], 1
            )
            means += [of.mean(0).numpy() for of in values.split(counted.sum(1).tolist())]
        return np.stack(means)

    def _row(self, fact: Prediction) -> tuple[list[int], list[int]]:
        """Token ids, and the positions that count."""
        masked = bool(fact.fillings)
        if not {*fact.object_tokens} <= self._vocabulary.keys() or (
            masked and self._tokenizer.mask_token is None
        ):
            raise FactsError(
                f"{' '.join(fact.object_tokens)!r} are no tokens of this model, or it fills no "
                "masks; the model whose results these are was expected"
            )
        if masked:
            gold = without_spaces(fact.object_tokens)
            masks = [without_spaces(filling) for filling in fact.fillings].index(gold) + 1
            ids, places = masked_ids(self._tokenizer, fact.text, masks)
        else:
            ids = list(self._tokenizer(before_blank(fact.text)[0])["input_ids"])
            places = [len(ids) - 1]
        if len(ids) > (most := self._model.length(None)):
            raise FactsError(f"{fact.text[:80]!r} has {len(ids)} tokens; {most} fit")
        if self._positions == "mask":
            return ids, places
        of = self._tokenizer
        added = {of.cls_token_id, of.sep_token_id, of.bos_token_id, of.eos_token_id}
        return ids, [place for place, token in enumerate(ids) if token not in added]


class _Kept:
    """The values [token, neuron] of one site in one pass."""

    values: torch.Tensor

    def add(self, values: torch.Tensor) -> None:
        self.values = values.detach().to("cpu", torch.float32, copy=True)
