"""What a recording would do, and how long it would take: its texts looked at, two batches run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from lsn_eval.recording.checkpoints import Checkpoints
from lsn_eval.recording.language_recording import LanguageRecording
from lsn_eval.recording.observing import Batch
from lsn_eval.recording.packing import Row, RowStream, batches
from lsn_eval.recording.recorded_model import RecordedModel
from lsn_eval.recording.settings import RecordingSettings
from lsn_eval.recording.tokenizing import Encoding
from lsn_eval.statistics.content import statistic_dtype
from lsn_eval.statistics.corpora import check_pair
from lsn_eval.statistics.quantiles import sample_size

MEASURED_BATCHES = 2
"""Of the first language; the last of them is timed, those before it warm up."""

LOOKED_AT = 1 << 19
"""Tokens of each language from which the size of its texts is told, if they have more."""


@dataclass(frozen=True)
class TextsEstimate:
    """One language's texts; numbers go by their beginning, and are None where nothing tells."""

    source: str
    bytes: int | None
    documents: int | None
    tokens: int | None
    rows: int | None


@dataclass(frozen=True)
class RecordingEstimate:
    """What would be recorded, what it would take, and of how many rows that was measured."""

    model: dict[str, Any]
    """As in the file: name, type, layers, and the width of every hookpoint."""
    texts: Mapping[str, TextsEstimate]
    """By language."""
    length: int
    batch_size: int
    measured_rows: int
    tokens_per_second: float
    seconds: float | None
    """For all languages; None where the tokens of one are not known."""
    file_bytes: int | None
    """Of the statistics file; None where it holds the responses of who knows how many texts."""
    counter_bytes: int
    """In memory, or the device's."""
    sample_bytes: int
    """On the disk beside the output, while a language is recorded."""

    def to_json(self) -> dict[str, Any]:
        """In plain types."""
        return asdict(self)


def estimate(
    model: RecordedModel,
    streams: Mapping[str, RowStream],
    encoding: Encoding,
    settings: RecordingSettings,
    batch_size: int,
    own_p90: bool,
) -> RecordingEstimate:
    """The estimate of a recording; texts that can be read once are used up.

    Args:
        streams: rows by language, not yet begun.
        own_p90: two further passes count what is above thresholds.

    Raises:
        RecordingError: the error that the recording would begin with.
    """
    first = next(iter(streams.values()))
    rows, *_ = [_beginning(stream, batch_size) for stream in streams.values()]
    speed = 0.0
    with tempfile.TemporaryDirectory(prefix="lsn_eval-", ignore_cleanup_errors=True) as folder:
        # A sample of all tokens comes with the first batches alone: it is no part of the measure.
        recording = LanguageRecording(
            model, first, encoding, replace(settings, sample_tokens=1), Checkpoints(Path(folder)),
            batch_size=batch_size, shard=(1, 1),
        )  # fmt: skip
        try:
            with model.evaluating():
                for together in batches(rows, batch_size):
                    began = time.perf_counter()
                    batch = Batch.of(together, 0, encoding.pad, encoding.skipped)
                    recording.run_batch(batch, 0)
                    tokens = sum(row.size for row in together)
                    speed = tokens / (time.perf_counter() - began)
            recording.check_finite()
        finally:
            recording.close()
    begun = [
        (name, {"source": stream.source, "first_row_sha256": stream.first_row_sha256})
        for name, stream in streams.items()
    ]
    for one, other in combinations(begun, 2):
        check_pair(*one, *other)
    texts = {name: _texts(stream) for name, stream in streams.items()}
    totals = [of.tokens for of in texts.values() if of.tokens is not None]
    known = len(totals) == len(texts)
    sampled = sample_size(model.neurons, settings.sample_tokens) * (settings.statistics == "all")
    return RecordingEstimate(
        model=model.described.to_json(),
        texts=texts,
        length=first.settings.length,
        batch_size=batch_size,
        measured_rows=len(rows),
        tokens_per_second=speed,
        seconds=(3 if own_p90 else 1) * sum(totals) / settings.shard[1] / speed if known else None,
        file_bytes=_file_bytes(model, settings, texts, sampled, own_p90),
        counter_bytes=sum(
            array.nbytes
            for accumulator in recording.accumulators.values()
            for array in accumulator.state().values()
        ),
        sample_bytes=2 * sampled * model.neurons,
    )


def _beginning(stream: RowStream, batch_size: int) -> list[Row]:
    """The rows to be run, when so much of the texts is read that their size can be told."""
    rows: list[Row] = []
    for row in stream:
        if len(rows) < MEASURED_BATCHES * batch_size:
            rows.append(row)
        elif stream.tokens >= LOOKED_AT:
            break
    return rows


def _texts(stream: RowStream) -> TextsEstimate:
    tokens, settings = stream.expected, stream.settings
    documents = rows = None
    if tokens is not None:
        documents = round(stream.documents * tokens / stream.tokens)
        rows = tokens // settings.length if settings.pack else documents
    return TextsEstimate(stream.source, stream.bytes_there, documents, tokens, rows)


def _file_bytes(
    model: RecordedModel,
    settings: RecordingSettings,
    texts: Mapping[str, TextsEstimate],
    sampled: int,
    own_p90: bool,
) -> int | None:
    names = ["positive", *(["above_threshold"] if own_p90 else [])]
    if settings.statistics == "all":
        names += ["mean", "variance", "max", *settings.kept_quantiles]
    each = sum(np.dtype(statistic_dtype(name)).itemsize for name in names)
    kept = sampled * (2 * model.neurons + 8) * settings.keeps_sample
    size = len(texts) * (each * model.neurons + kept)
    if settings.per_text:
        counts = [of.rows for of in texts.values()]
        if None in counts:
            return None
        size += (2 * model.neurons + 12) * sum(filter(None, counts)) // settings.shard[1]
    return size
