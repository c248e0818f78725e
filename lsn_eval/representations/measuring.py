"""`measure_layers`: one pass over parallel texts a condition, and what every layer held.

measures = measure_layers("lsn_demo", {"de": "de.txt", "fr": "fr.txt"})
measures.save("layers.json")
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from lsn_eval.comparing.paired import FEW, Draws, mean_intervals
from lsn_eval.conditions import Condition
from lsn_eval.errors import LsnError
from lsn_eval.interventions.intervention import Intervention
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.loading import load_model
from lsn_eval.models.weights import weights_fingerprint
from lsn_eval.recording.observing import Batch
from lsn_eval.recording.packing import batches
from lsn_eval.recording.tokenizing import Encoding
from lsn_eval.representations.hidden_states import HiddenStates, Pooling, pooled
from lsn_eval.representations.measures import LayerMeasures
from lsn_eval.representations.parallel_texts import parallel_sentences, sha256
from lsn_eval.representations.similarity import Quantity, dominance, similarity
from lsn_eval.representations.token_languages import (
    language_shares,
    token_languages,
    with_controls,
)
from lsn_eval.results.signatures import lsn_record
from lsn_eval.statistics.quantiles import scratch_array
from lsn_eval.version import __version__


def measure_layers(
    model: nn.Module | str | os.PathLike[str],
    texts: Mapping[str, str | os.PathLike[str] | Iterable[str]],
    tokenizer: Any = None,
    *,
    mask: NeuronMask | str | os.PathLike[str] | None = None,
    conditions: Sequence[str] = ("none",),
    pooling: Pooling = "mean",
    lens: bool = True,
    limit: int | None = None,
    batch_size: int = 16,
    draws: Draws | None = None,
    progress: bool = False,
    command: str | None = None,
    **loading: Any,
) -> LayerMeasures:
    """Similarity of translations, dominance and the languages of the logit lens, layer by layer.

    Args:
        model: as for `record`; a decoder or an encoder.
        texts: files or sentences by language; line n of each is the same sentence.
        tokenizer: its tokenizer; None for that of a model by name.
        mask: for conditions other than `none`.
        conditions: each is measured; beside a first `none` the others get their change from it.
        pooling: a sentence's embedding is the mean over its tokens, or its last token.
        lens: decode every layer, too; takes a head for every layer and token.
        limit: the first so many sentences.
        batch_size: sentences at a time.
        draws: how intervals are made, over sentences.
        command: what the user typed, for the record.
        loading: of a model by name: `revision`, `dtype` and `device`, as for `load_model`.

    Raises:
        LsnError: texts that are not parallel; or mask, condition and model do not fit.
    """
    draws = draws or Draws()
    sentences = parallel_sentences(texts, limit)
    if pooling not in get_args(Pooling):
        raise LsnError(f"--pooling {pooling!r}: mean or last was expected")
    chosen = [Condition.parse(condition) for condition in conditions]
    if len({*map(str, chosen)}) < len(chosen) or not chosen:
        raise LsnError(f"conditions {', '.join(conditions)}: one or several, each once")
    neurons = None if mask is None else NeuronMask.load(mask)
    in_memory = isinstance(model, nn.Module)
    if isinstance(model, str | os.PathLike):
        model, tokenizer = load_model(model, tokenizer, **loading)
    loaded: Any = model
    states = HiddenStates(loaded)
    rows, skipped, pad = _rows(states, tokenizer, sentences)
    described = {
        "name": states.model.described.name or "in memory",
        "type": states.model.described.type,
        "dtype": states.model.dtype,
        **({"loaded": weights_fingerprint(loaded)[:12]} if in_memory else {}),
    }
    data = f"parallel:{pooling}:{sha256(sha256(of) for of in sentences.values())[:12]}"
    reader = _Reader(states, rows, skipped, pad, pooling, lens, batch_size, draws.seed, progress)
    records: list[dict[str, Any]] = []
    done: dict[str, Any] = {}
    first: dict[tuple[str, str], Quantity] = {}
    for condition in chosen:
        intervention = None
        if condition.terms:
            if neurons is None:
                raise LsnError(f"condition '{condition}' was given without a mask; add --mask FILE")
            intervention = Intervention(loaded, neurons, condition)
        for layer, quantity in reader.quantities(intervention):
            at = layer, quantity.name
            if not np.isfinite(quantity.values).all():
                raise LsnError(
                    f"under '{condition}' hidden states of layer {layer} are no finite numbers; "
                    "give another --dtype, or a model that is whole"
                )
            if condition is chosen[0] and not condition.terms:
                first[at] = quantity
            place = {"condition": str(condition), "quantity": quantity.name, "layer": layer}
            before = None if first.get(at) is quantity else first.get(at)
            records += ({**place, **cell} for cell in _cells(quantity, before, draws))
        seen = {}
        if intervention is not None:
            intervention.report.warn_of_unchanged()
            seen = {"seen": intervention.report.to_json()}
        record = lsn_record(
            condition, described, neurons if condition.terms else None,
            mask, layers=intervention.plan.neurons_per_layer() if intervention else {},
            warnings=intervention.report.doubts if intervention else [],
            **seen,
        )  # fmt: skip
        start, _, made_by = record["signature"].rpartition("|")
        done[str(condition)] = {**record, "signature": f"{start}|data:{data}|{made_by}"}
    count = len(next(iter(sentences.values())))
    about = {
        "model": described["name"],
        "sentences": count,
        "texts": {
            language: {
                "source": os.fspath(given) if isinstance(given, str | os.PathLike) else None,
                "sha256": sha256(sentences[language]),
                "tokens": int(sum((~np.isin(row, skipped)).sum() for row in rows[language])),
            }
            for language, given in texts.items()
        },
        "settings": {"pooling": pooling, "length": states.model.length(None), "seed": draws.seed,
                     "resamples": draws.resamples, "level": draws.level},
        "notes": [f"Intervals of {count} sentences, fewer than {FEW}, are too short."]
        * (count < FEW),
        "versions": {name: version(name) for name in ("torch", "transformers")}
        | {"lsn_eval": __version__},
        "command": command,
        "conditions": done,
    }  # fmt: skip
    return LayerMeasures(states.layers, tuple(sentences), records, about)


def _rows(
    states: HiddenStates, tokenizer: Any, sentences: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[NDArray[np.int64]]], NDArray[np.int64], int]:
    """Token ids of every sentence, ids that do not count, and the id of padding."""
    vocabulary, length = states.model.vocabulary, states.model.length(None)
    encoding = Encoding(
        tokenizer, special_tokens=True, skip_special_tokens=True, vocabulary=vocabulary
    )
    rows = {
        language: [np.asarray(ids, np.int64) for ids in encoding(texts)]
        for language, texts in sentences.items()
    }
    for language, of in rows.items():
        for number, row in enumerate(of, 1):
            if np.isin(row, encoding.skipped).all():
                raise LsnError(f"sentence {number} of {language} has no token but special ones")
            if len(row) > length:
                raise LsnError(
                    f"sentence {number} of {language} has {len(row)} tokens, and {length} fit"
                )
    return rows, encoding.skipped, encoding.pad


class _Reader:
    """Runs the sentences, and says what each layer held."""

    def __init__(
        self,
        states: HiddenStates,
        rows: Mapping[str, Sequence[NDArray[np.int64]]],
        skipped: NDArray[np.int64],
        pad: int,
        pooling: Pooling,
        lens: bool,
        batch_size: int,
        seed: int,
        progress: bool,
    ) -> None:
        self.states, self.rows, self.pooling = states, rows, pooling
        self.skipped, self.pad, self.batch_size, self.progress = skipped, pad, batch_size, progress
        self.head = states.head() if lens else None
        whose = token_languages([*rows.values()], skipped, states.model.vocabulary)
        self.groups = with_controls(whose, seed)

    def quantities(self, intervention: Intervention | None) -> Iterator[tuple[str, Quantity]]:
        """Every quantity of every layer under a condition."""
        read = {language: self._read(language, intervention) for language in self.rows}
        for number, layer in enumerate(self.states.layers):
            embeddings = {x: of[number].astype(np.float64) for x, (of, _) in read.items()}
            yield layer, similarity(embeddings)
            yield layer, dominance(embeddings)
            if self.head is not None:
                shares = {language: of[number] for language, (_, of) in read.items()}
                cells = [(text, token) for text in self.rows for token in self.rows]
                halves = np.split(np.stack([*shares.values()], 1).astype(np.float64), 2, axis=2)
                yield layer, Quantity("lens", cells, *(x.reshape(len(x), -1) for x in halves))

    def _read(
        self, language: str, intervention: Intervention | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Embeddings [layer, sentence, hidden] and shares [layer, sentence, group]."""
        rows, depth = self.rows[language], len(self.states.layers)
        embeddings = scratch_array((depth, len(rows), self.states.width), np.float32)
        shares = scratch_array((depth, len(rows), self.groups.shape[1]), np.float32)
        bar = tqdm(total=len(rows), desc=language, unit="sentence", disable=not self.progress)
        with bar, self.states.model.evaluating():
            start = 0
            for part in batches(rows, self.batch_size):
                batch = Batch.of(part, start, self.pad, self.skipped)
                with intervention.active() if intervention else nullcontext():
                    states = self.states.of(batch.ids, batch.attention)
                end = start + len(part)
                embeddings[:, start:end] = pooled(states, batch, self.pooling).transpose(0, 1)
                if self.head is not None:
                    found = language_shares(self.head, states, batch.counted, self.groups)
                    shares[:, start:end] = found.transpose(0, 1)
                bar.update(len(part))
                start = end
        return embeddings, shares


def _cells(quantity: Quantity, before: Quantity | None, draws: Draws) -> Iterator[dict[str, Any]]:
    """A record of every cell, with intervals over sentences."""
    parts = {"": quantity.values, "above_": quantity.values - quantity.controls}
    if before is not None:
        parts["change_"] = quantity.values - before.values
    ends = np.split(mean_intervals(np.hstack([*parts.values()]), draws), len(parts), axis=1)
    for number, (row, column) in enumerate(quantity.cells):
        cell: dict[str, Any] = {"row": row, "column": column}
        cell["value"] = float(quantity.values[:, number].mean())
        cell["control"] = float(quantity.controls[:, number].mean())
        if before is not None:
            cell["change"] = float(parts["change_"][:, number].mean())
        for name, (low, high) in zip(parts, ends, strict=True):
            cell |= {f"{name}low": float(low[number]), f"{name}high": float(high[number])}
        yield cell
