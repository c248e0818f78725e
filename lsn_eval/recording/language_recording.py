"""Recording one language: batches, what is kept of them, and where to go on after a stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import RecordingError
from lsn_eval.recording.accumulators import statistics_of
from lsn_eval.recording.checkpoints import Checkpoints, ResponseFiles
from lsn_eval.recording.observing import Batch, Observer
from lsn_eval.recording.packing import RowStream, batches
from lsn_eval.recording.recorded_model import RecordedModel
from lsn_eval.recording.run import Interruption
from lsn_eval.recording.settings import RecordingSettings
from lsn_eval.statistics import ActivationStats
from lsn_eval.statistics.content import TextResponses
from lsn_eval.statistics.quantiles import (
    SampleBuilder,
    TokenSample,
    corpus_salt,
    sample_size,
    scratch_array,
    token_keys,
)


class LanguageRecording:
    """One language's texts through the model.

    Args:
        shard: number and count: of n shards, the batches whose number is `number` - 1 modulo n.
        skipped: token ids that do not count.
    """

    def __init__(
        self,
        model: RecordedModel,
        stream: RowStream,
        settings: RecordingSettings,
        checkpoints: Checkpoints,
        *,
        batch_size: int,
        shard: tuple[int, int],
        pad: int,
        skipped: NDArray[np.int64],
    ) -> None:
        self.model, self.stream, self.settings = model, stream, settings
        self.checkpoints = checkpoints
        self.language = stream.language
        self.batch_size, self.shard, self.pad, self.skipped = batch_size, shard, pad, skipped
        everything = settings.statistics == "all"
        self.observer = Observer(model.sites, moments=everything, per_text=settings.per_text)
        self.tokens = self.rows = self.start = 0
        self._expected_sha: str | None = None
        self._keys: NDArray[np.uint64] | None = None
        texts = self._load()
        self.sample: SampleBuilder | None = None
        if everything:
            size = sample_size(model.neurons, settings.sample_tokens)
            self.sample = SampleBuilder(size, self._keys)
            self._sampled = {
                hookpoint: checkpoints.sample(hookpoint, self._shape(hookpoint, size))
                for hookpoint in model.hookpoints
            }
        self.responses: ResponseFiles | None = None
        if settings.per_text:
            widths = {(site.hookpoint, site.layer): site.width for site in model.sites}
            self.responses = ResponseFiles(checkpoints.folder, widths, texts)

    def _shape(self, hookpoint: str, rows: int) -> tuple[int, int, int]:
        return rows, len(self.model.described.layers), self.model.described.widths[hookpoint]

    # One batch after another -----------------------------------------------------------------

    def run(self, interruption: Interruption, progress: Callable[[int], None]) -> None:
        """Run every batch that is still to be run.

        Raises:
            RecordingError: the texts are not those of before the stop.
            KeyboardInterrupt: after Ctrl-C, once the state is saved.
        """
        number, of = self.shard
        saved, salt = time.monotonic(), 0
        with self.model.evaluating(), self.observer.watching():
            for batch_number, rows in enumerate(batches(self.stream, self.batch_size)):
                if not batch_number:
                    salt = corpus_salt(self.language, rows[0])
                if batch_number == self.start - 1 and self.stream.sha256 != self._expected_sha:
                    raise RecordingError(
                        f"the texts of {self.language} are not those that were recorded before "
                        "the stop; give the same ones to go on, or delete "
                        f"{self.checkpoints.folder} to start anew"
                    )
                if batch_number < self.start or batch_number % of != number - 1:
                    continue
                first_row = batch_number * self.batch_size
                batch = Batch.of(rows, first_row, self.pad, self.skipped)
                if batch.tokens:
                    self._run_batch(batch, salt)
                self.rows += len(rows)
                progress(sum(row.size for row in rows))
                due = time.monotonic() - saved >= self.settings.checkpoint_seconds
                if due or interruption.asked:
                    self._save(batch_number + 1)
                    saved = time.monotonic()
                if interruption.asked:
                    raise KeyboardInterrupt

    def _run_batch(self, batch: Batch, salt: int) -> None:
        chosen = slots = np.zeros(0, np.int64)
        if self.sample is not None:
            chosen, slots = self.sample.choose(token_keys(salt, *batch.places()))
        self.observer.begin(batch, chosen)
        self.model.run(batch.ids, batch.attention)
        self.observer.end()
        self.tokens += batch.tokens
        position = {layer: at for at, layer in enumerate(self.model.described.layers)}
        for (hookpoint, layer), values in self.observer.sampled.items():
            self._sampled[hookpoint][slots, position[layer]] = values
        if self.responses is not None:
            index = batch.first_row + np.flatnonzero(batch.counted.any(1))
            self.responses.append(index, self.observer.responses)

    # Stops -----------------------------------------------------------------------------------

    def _save(self, next_batch: int) -> None:
        arrays = {
            f"{hookpoint}/{layer}/{name}": array
            for (hookpoint, layer), accumulator in self.observer.accumulators.items()
            for name, array in accumulator.state().items()
        }
        if self.sample is not None:
            arrays["keys"] = self.sample.keys
        if self.responses is not None:
            self.responses.flush()
        facts = {
            "language": self.language,
            "next_batch": next_batch,
            "rows_sha256": self.stream.sha256,
            "tokens": self.tokens,
            "rows": self.rows,
            "texts": 0 if self.responses is None else self.responses.texts,
        }
        self.checkpoints.save(arrays, facts)

    def _load(self) -> int:
        """Go on from the saved state, if there is one; the number of texts it has."""
        saved = self.checkpoints.load(self.language)
        if saved is None:
            return 0
        arrays, facts = saved
        for (hookpoint, layer), accumulator in self.observer.accumulators.items():
            prefix = f"{hookpoint}/{layer}/"
            own = [key for key in arrays if key.startswith(prefix)]
            accumulator.load({key.removeprefix(prefix): arrays[key] for key in own})
        self._keys = arrays.get("keys")
        self._expected_sha = facts["rows_sha256"]
        self.start, self.tokens, self.rows = facts["next_batch"], facts["tokens"], facts["rows"]
        return int(facts["texts"])

    # The result ------------------------------------------------------------------------------

    def result(self, source: str, *, keep_sample: bool) -> ActivationStats:
        """Statistics of this language."""
        described = self.model.described
        arrays: dict[str, dict[str, NDArray[Any]]] = {}
        for hookpoint in self.model.hookpoints:
            layers = []
            for layer in described.layers:
                state = self.observer.accumulators[hookpoint, layer].state()
                layers.append(statistics_of(state, self.tokens))
                if self.tokens and not np.isfinite(layers[-1].get("variance", 0)).all():
                    raise RecordingError(
                        f"{hookpoint} of layer {layer} took values that are no finite numbers on "
                        f"the texts of {self.language}: does {self.model.dtype} overflow? Load the "
                        "model in bfloat16 or float32"
                    )
            arrays[hookpoint] = {
                name: np.stack([layer[name] for layer in layers])[None] for name in layers[0]
            }
        sample = None if self.sample is None else self._token_sample(self.sample, keep_sample)
        if sample is not None:
            for hookpoint, statistics in arrays.items():
                found = sample.quantiles(hookpoint)
                statistics |= {name: values[None] for name, values in found.items()}
        corpus = {
            "source": source,
            "documents": self.stream.documents,
            "rows": self.rows,
            "tokens": self.tokens,
            "tokens_asked": self.settings.tokens,
            "texts_sha256": self.stream.sha256,
            "first_row_sha256": self.stream.first_row_sha256,
            "document_sketch": self.stream.sketch.hashes,
            "batch_size": self.batch_size,
            "held_out": self.stream.settings.hold_out,
            "shard": list(self.shard),
        }
        return ActivationStats(
            model=described,
            languages=(self.language,),
            tokens={self.language: self.tokens},
            arrays=arrays,
            provenance={"corpora": {self.language: [corpus]}},
            samples={self.language: sample} if sample is not None and keep_sample else {},
            texts=self._texts(),
        )

    def _token_sample(self, builder: SampleBuilder, keep: bool) -> TokenSample:
        order = builder.order()
        values: dict[str, NDArray[np.float16]] = dict(self._sampled)
        # A full sample can be read where it is, in any order; a kept one goes by key.
        if keep or order.size < builder.size:
            for hookpoint, sampled in self._sampled.items():
                values[hookpoint] = scratch_array(self._shape(hookpoint, order.size), np.float16)
                for target, slot in enumerate(order):
                    values[hookpoint][target] = sampled[slot]
        return TokenSample(builder.size, builder.keys[order], values)

    def _texts(self) -> TextResponses | None:
        if self.responses is None:
            return None
        index = self.responses.index()
        return TextResponses(np.full(index.size, self.language), index, self.responses.read)

    def close(self) -> None:
        """Close files; the result must have been saved by then."""
        if self.responses is not None:
            self.responses.close()
