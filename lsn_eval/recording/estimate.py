"""What a recording would do, and how long it would take: its texts looked at, two batches run."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from lsn_eval.recording.checkpoints import Checkpoints
from lsn_eval.recording.language_recording import LanguageRecording
from lsn_eval.recording.packing import RowStream, batches
from lsn_eval.recording.recorded_model import RecordedModel
from lsn_eval.recording.settings import RecordingSettings
from lsn_eval.recording.tokenizing import Encoding
from lsn_eval.statistics.content import STATISTIC_DTYPES
from lsn_eval.statistics.corpora import check_pair
from lsn_eval.statistics.quantiles import sample_size

MEASURED_BATCHES = 2
"""Of the first language; the last of them is timed, those before it warm up."""


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
    sources: Mapping[str, str],
    *,
    own_p90: bool = False,
) -> RecordingEstimate:
    """The estimate of a recording; texts that can be read once are used up.

    Args:
        streams: rows by language, not yet begun.
        own_p90: two further passes count what is above thresholds.

    Raises:
        RecordingError: the error that the recording would begin with.
    """
    first, *others = streams.values()
    ends: list[tuple[float, int]] = []

    def note(tokens: int) -> None:
        ends.append((time.perf_counter(), tokens))
        if len(ends) == MEASURED_BATCHES:
            raise _Enough

    with tempfile.TemporaryDirectory(prefix="lsn_eval-", ignore_cleanup_errors=True) as folder:
        # A sample of all tokens comes with the first batches alone: it is no part of the measure.
        measured = replace(settings, sample_tokens=1, shard=(1, 1))
        recording = LanguageRecording(
            model, first, encoding, measured, Checkpoints(Path(folder)),
            batch_size=batch_size, shard=(1, 1),
        )  # fmt: skip
        began = time.perf_counter()
        try:
            with suppress(_Enough):
                recording.run(threading.Event(), note)
            recording.check_finite()
        finally:
            recording.close()
    for stream in others:
        next(batches(stream, batch_size))
    begun = [
        (name, {"source": sources[name], "first_row_sha256": stream.first_row_sha256})
        for name, stream in streams.items()
    ]
    for one, other in combinations(begun, 2):
        check_pair(*one, *other)
    before = ends[-2][0] if len(ends) > 1 else began
    speed = ends[-1][1] / (ends[-1][0] - before)
    texts = {name: _texts(stream, sources[name]) for name, stream in streams.items()}
    totals = [of.tokens for of in texts.values() if of.tokens is not None]
    passes = 3 if own_p90 else 1
    known = len(totals) == len(texts)
    sampled = sample_size(model.neurons, settings.sample_tokens)
    sample_bytes = 2 * sampled * model.neurons if settings.statistics == "all" else 0
    return RecordingEstimate(
        model=model.described.to_json(),
        texts=texts,
        length=first.settings.length,
        batch_size=batch_size,
        measured_rows=first.rows,
        tokens_per_second=speed,
        seconds=passes * sum(totals) / settings.shard[1] / speed if known else None,
        file_bytes=_file_bytes(model, settings, texts, sample_bytes, own_p90),
        counter_bytes=sum(
            array.nbytes
            for accumulator in recording.accumulators.values()
            for array in accumulator.state().values()
        ),
        sample_bytes=sample_bytes,
    )


class _Enough(Exception):
    """Enough batches were run."""


def _texts(stream: RowStream, source: str) -> TextsEstimate:
    tokens, settings = stream.expected, stream.settings
    documents = rows = None
    if tokens is not None:
        documents = round(stream.documents * tokens / stream.tokens)
        rows = tokens // settings.length if settings.pack else documents
    return TextsEstimate(source, stream.bytes_there, documents, tokens, rows)


def _file_bytes(
    model: RecordedModel,
    settings: RecordingSettings,
    texts: Mapping[str, TextsEstimate],
    sample_bytes: int,
    own_p90: bool,
) -> int | None:
    names = set(STATISTIC_DTYPES) if settings.statistics == "all" else {"positive"}
    names = names | {"above_threshold"} if own_p90 else names - {"above_threshold"}
    each = sum(np.dtype(STATISTIC_DTYPES[name]).itemsize for name in names)
    size = len(texts) * (each * model.neurons + sample_bytes * settings.keeps_sample)
    if settings.per_text:
        counts = [of.rows for of in texts.values()]
        if None in counts:
            return None
        size += 2 * model.neurons * sum(filter(None, counts)) // settings.shard[1]
    return size
