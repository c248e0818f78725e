"""Recording one language: batches, what is kept of them, and where to go on after a stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import RecordingError
from lsn_eval.recording.accumulators import SiteAccumulator, statistics_of
from lsn_eval.recording.checkpoints import BatchNotes, Checkpoints, ResponseFiles
from lsn_eval.recording.observing import (
    NOTHING,
    WAITING_ROWS,
    Batch,
    Observation,
    fetched,
    observing,
)
from lsn_eval.recording.packing import Row, RowStream, ahead, batches
from lsn_eval.recording.recorded_model import RecordedModel
from lsn_eval.recording.settings import RecordingSettings
from lsn_eval.recording.tokenizing import Encoding
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

MEASURED_BATCHES = 64
"""From so many on the model alone runs two of them again, to tell what recording adds."""


class LanguageRecording:
    """One language's texts through the model.

    Args:
        shard: number and count: of n shards, the batches whose number is `number` - 1 modulo n.
    """

    def __init__(
        self,
        model: RecordedModel,
        stream: RowStream,
        encoding: Encoding,
        settings: RecordingSettings,
        checkpoints: Checkpoints,
        *,
        batch_size: int,
        shard: tuple[int, int],
    ) -> None:
        self.model, self.stream, self.encoding, self.settings = model, stream, encoding, settings
        self.checkpoints = checkpoints
        self.language = stream.language
        self.batch_size, self.shard = batch_size, shard
        everything = settings.statistics == "all"
        self.accumulators = {
            (site.hookpoint, site.layer): SiteAccumulator(site.width, moments=everything)
            for site in model.sites
        }
        self.tokens = self.rows = self.start = texts = 0
        self.share: float | None = None
        """Positions a second over those of the model alone, once that was measured."""
        keys = None
        saved = checkpoints.load(self.language)
        if saved is not None:
            arrays, facts = saved
            for place, accumulator in self.accumulators.items():
                start = "/".join(place) + "/"
                own = [key for key in arrays if key.startswith(start)]
                accumulator.load({key.removeprefix(start): arrays[key] for key in own})
            keys = arrays.get("keys")
            self.start, self.tokens, self.rows, texts = map(
                facts.whole, ("next_batch", "tokens", "rows", "texts")
            )
        self.notes = BatchNotes(checkpoints.folder, go_on=saved is not None)
        self.sample: SampleBuilder | None = None
        if everything:
            size = sample_size(model.neurons, settings.sample_tokens)
            self.sample = SampleBuilder(size, keys)
            self._sampled = {
                at: checkpoints.sample(at, self._shape(at, size), go_on=saved is not None)
                for at in model.hookpoints
            }
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.int64], Observation]] = []
        self.responses: ResponseFiles | None = None
        if settings.per_text:
            self.responses = ResponseFiles(checkpoints.folder, model.sites, texts)

    def _shape(self, hookpoint: str, rows: int) -> tuple[int, int, int]:
        return rows, len(self.model.described.layers), self.model.described.widths[hookpoint]

    # One batch after another -----------------------------------------------------------------

    def run(self, interrupted: threading.Event, progress: Callable[[int], None]) -> None:
        """Run every batch that is still to be run.

        Raises:
            RecordingError: the texts are not those of before the stop, or a neuron's value is no
                finite number.
            KeyboardInterrupt: after Ctrl-C, once the state is saved.
        """
        number, of = self.shard
        began = saved = time.monotonic()
        salt, own, ran = 0, -1, 0
        largest: Batch | None = None
        with self.model.evaluating():
            for batch_number, (rows, digest) in enumerate(ahead(self._batches())):
                if not batch_number:
                    salt = corpus_salt(self.language, rows[0])
                if batch_number % of != number - 1:
                    continue
                own = batch_number // of
                if not self.notes.agree(own, digest):
                    raise self._other_texts()
                if batch_number < self.start:
                    continue
                first = batch_number * self.batch_size
                batch = Batch.of(rows, first, self.encoding.pad, self.encoding.skipped)
                if batch.tokens:
                    self.run_batch(batch, salt)
                    ran += batch.ids.numel()
                    largest = max(largest or batch, batch, key=lambda of: of.ids.numel())
                self.rows += len(rows)
                progress(sum(row.size for row in rows))
                due = time.monotonic() - saved >= self.settings.checkpoint_seconds
                stop = interrupted.is_set()
                if due or stop:
                    self._save(batch_number + 1)
                    saved = time.monotonic()
                if stop:
                    raise KeyboardInterrupt
            if largest and ran >= MEASURED_BATCHES * largest.ids.numel():
                speed = ran / (time.monotonic() - began)
                self.share = speed * self._plain_seconds(largest) / largest.ids.numel()
        if own + 1 < self.notes.count:
            raise self._other_texts()

    def _plain_seconds(self, batch: Batch) -> float:
        """How long the model takes for a batch by itself."""
        for _ in range(2):  # the first is through once the batches before it are
            began = time.monotonic()
            float(self.model.run(batch.ids, batch.attention)[0].flatten()[0])
        return time.monotonic() - began

    def _batches(self) -> Iterator[tuple[list[Row], bytes]]:
        """Every batch of the texts, and the digest of all up to its end."""
        for rows in batches(self.stream, self.batch_size):
            yield rows, bytes.fromhex(self.stream.sha256)

    def _other_texts(self) -> RecordingError:
        return RecordingError(
            f"the texts of {self.language} are not those that were recorded before the stop: they "
            "differ or end earlier; give the same ones to go on, or delete "
            f"{self.checkpoints.folder} to start anew"
        )

    def run_batch(self, batch: Batch, salt: int) -> None:
        """Run one batch, and take in what the neurons do."""
        chosen = slots = NOTHING
        if self.sample is not None:
            chosen, slots = self.sample.choose(token_keys(salt, *batch.places()))
        given = self.model.sites, self.accumulators, batch
        with observing(*given, sampled=chosen, per_text=self.settings.per_text) as seen:
            self.model.run(batch.ids, batch.attention)
        self.tokens += batch.tokens
        index = NOTHING
        if self.responses is not None:
            index = batch.first_row + np.flatnonzero(batch.counted.any(1))
        if slots.size or index.size:  # else what was seen is no longer needed
            self._waiting.append((slots, index, seen))
        if sum(len(slots) + len(index) for slots, index, _ in self._waiting) > WAITING_ROWS:
            self._fetch()

    def _fetch(self) -> None:
        """Write what waits where the model runs, which must get through for that."""
        waiting, self._waiting = self._waiting, []
        sampled = [(slots, seen.sampled) for slots, _, seen in waiting if slots.size]
        if sampled:
            slots = np.concatenate([slots for slots, _ in sampled])
            for place in self.accumulators:
                values = fetched([of[place] for _, of in sampled])
                number, width = self.model.described.numbers[place[1]], values.shape[1]
                # Of a slot that was given up meanwhile the last value stays.
                self._sampled[place[0]][slots, number, :width] = values
        if self.responses is not None and waiting:
            index = np.concatenate([index for _, index, _ in waiting])
            responses = [seen.responses for _, _, seen in waiting]
            self.responses.append(
                index, {at: fetched([of[at] for of in responses]) for at in self.accumulators}
            )

    def check_finite(self) -> None:
        """Raise RecordingError if a value that was counted in is no finite number."""
        for (hookpoint, layer), accumulator in self.accumulators.items():
            if not accumulator.finite:
                raise RecordingError(
                    f"{hookpoint} of layer {layer} took values that are no finite numbers on the "
                    f"texts of {self.language}: does {self.model.dtype} overflow? Load the model "
                    "in bfloat16 or float32"
                )

    def _save(self, next_batch: int) -> None:
        """Write the state from which batch `next_batch` can go on."""
        self._fetch()
        self.check_finite()
        arrays = {
            "/".join((*place, name)): array
            for place, accumulator in self.accumulators.items()
            for name, array in accumulator.state().items()
        }
        if self.sample is not None:
            arrays["keys"] = self.sample.keys
        if self.responses is not None:
            self.responses.flush()
        facts = {
            "language": self.language,
            "next_batch": next_batch,
            "tokens": self.tokens,
            "rows": self.rows,
            "texts": 0 if self.responses is None else self.responses.texts,
        }
        self.checkpoints.save(arrays, facts)

    # The result ------------------------------------------------------------------------------

    def result(self, *, keep_sample: bool) -> ActivationStats:
        """Statistics of this language."""
        self._fetch()
        self.check_finite()
        described = self.model.described
        arrays: dict[str, dict[str, NDArray[Any]]] = {at: {} for at in self.model.hookpoints}
        layer_tokens = np.full((1, len(described.layers)), self.tokens)
        for (at, layer), accumulator in self.accumulators.items():
            shape = (1, len(described.layers), described.widths[at])
            place = 0, described.numbers[layer]
            layer_tokens[place] = accumulator.tokens
            for name, values in statistics_of(accumulator.state()).items():
                array = arrays[at].setdefault(name, np.zeros(shape, values.dtype))
                array[place][: values.size] = values
        sample = texts = None
        if self.sample is not None:
            sample = self._token_sample(self.sample, keep_sample)
            for hookpoint, statistics in arrays.items():
                quantiles = sample.quantiles(hookpoint, self.settings.kept_quantiles)
                statistics |= {name: values[None] for name, values in quantiles.items()}
        if self.responses is not None:
            index = self.responses.index()
            names = np.full(index.size, self.language)
            texts = TextResponses(names, index, self.responses.read)
        corpus = {
            "source": self.stream.source,
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
            layer_tokens=layer_tokens if self.model.routed else None,
            provenance={"corpora": {self.language: [corpus]}},
            samples={self.language: sample} if sample is not None and keep_sample else {},
            texts=texts,
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

    def close(self) -> None:
        """Close files; the result must have been saved by then."""
        self.notes.close()
        if self.responses is not None:
            self.responses.close()


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Set the event at the first Ctrl-C instead of raising: half of a batch cannot be saved.

    The second raises.
    """
    interrupted = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    # A job in the background ignores Ctrl-C, and goes on doing so.
    if threading.current_thread() is not threading.main_thread() or before is signal.SIG_IGN:
        yield interrupted
        return

    def note(number: int, frame: Any) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
