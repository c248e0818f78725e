"""Recording against the plain forward pass, without reading and tokenising, and with them.

"start" is the first tokens, when most enter the sample of the quantiles; "steady" is after a
million, when few do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measuring import Options, Way, interleaved, work
from benchmarks.models import VOCABULARY, llama
from lsn_eval.recording import RecordingSettings, record
from lsn_eval.recording.checkpoints import Checkpoints
from lsn_eval.recording.language_recording import LanguageRecording
from lsn_eval.recording.observing import NOTHING, Batch
from lsn_eval.recording.packing import RowSettings, RowStream
from lsn_eval.recording.recorded_model import RecordedModel
from lsn_eval.recording.tokenizing import Encoding
from lsn_eval.statistics.quantiles import token_keys

LINEAR = ("mlp.gate", "mlp.up", "mlp.down", "attn.q", "attn.k", "attn.v", "attn.o")
STEADY = 1_000_000


def rows(options: Options) -> Iterator[dict[str, Any]]:
    hidden, layers, batch, length = options.of((64, 2, 2, 16), (512, 4, 4, 128), (512, 4, 4, 512))
    model = llama(hidden, layers).to(options.device)
    variants = {
        "counts": RecordingSettings(length=length, statistics="counts"),
        "everything": RecordingSettings(length=length),
        "everything, all linear outputs, each text's mean": RecordingSettings(
            length=length, hookpoints=LINEAR, pack=False, per_text=True
        ),
    }
    plain = RecordedModel(model, ["mlp.act"])
    generator, shared = np.random.default_rng(0), {"first": 0}

    def drawn() -> Batch:
        shared["first"] += batch
        data = list(generator.integers(1, VOCABULARY, (batch, length)))
        return Batch.of(data, shared["first"], 0, NOTHING)

    for phase, before in (("start", 0), ("steady", STEADY)):
        with tempfile.TemporaryDirectory() as folder:
            ways: dict[str, Way] = {"plain": work(lambda: _plain(plain, drawn()))}
            for number, (name, settings) in enumerate(variants.items()):
                place = Path(folder) / str(number)
                place.mkdir()
                recording = _recording(model, place, settings, batch)
                _seen(recording, before, length)
                ways[name] = work(lambda own=recording: _recorded(own, drawn()))
            rounds = options.of(1, 7, 8 if phase == "start" else 40)
            enough = options.of(1, 12, 40)
            yield from interleaved("recording", phase, ways, rounds, options.device, enough=enough)
    yield from _whole(options, model, length)


def _plain(model: RecordedModel, batch: Batch) -> None:
    with torch.no_grad():
        model.run(batch.ids, None)


def _recorded(recording: LanguageRecording, batch: Batch) -> None:
    with torch.no_grad():
        recording.run_batch(batch, 1)


def _recording(model: Any, folder: Path, settings: RecordingSettings, batch: int) -> Any:
    encoding = Encoding(
        None, special_tokens=False, skip_special_tokens=False, vocabulary=VOCABULARY
    )
    stream = RowStream(
        "de", [], encoding, RowSettings(length=settings.length or 1, pack=settings.pack)
    )
    return LanguageRecording(
        RecordedModel(model, settings.hookpoints), stream, encoding, settings, Checkpoints(folder),
        batch_size=batch, shard=(1, 1),
    )  # fmt: skip


def _seen(recording: Any, tokens: int, length: int) -> None:
    """Bring the sample to where it is after `tokens`, without running the model."""
    if recording.sample is not None:
        for start in range(0, tokens // length, 64):
            places = np.divmod(np.arange(64 * length), length)
            recording.sample.choose(token_keys(1, places[0] + start, places[1]))


class Numbers:
    """A tokenizer: texts are numbers, spaced."""

    all_special_ids: tuple[int, ...] = ()
    pad_token_id = 0
    name_or_path = "numbers"

    def __call__(self, texts: list[str], **options: Any) -> dict[str, list[list[int]]]:
        return {"input_ids": [list(map(int, text.split())) for text in texts]}


def texts(tokens: int) -> Iterable[str]:
    """So many tokens, 100 a text."""
    generator = np.random.default_rng(0)
    for _ in range(tokens // 100):
        yield " ".join(map(str, generator.integers(1, VOCABULARY, 100)))


def _whole(options: Options, model: Any, length: int) -> Iterator[dict[str, Any]]:
    """`record` from texts to statistics, against as many plain batches."""
    tokens = options.of(100, 8 * length, 64 * length)
    ids = torch.randint(1, VOCABULARY, (4, length))
    plain = RecordedModel(model, ["mlp.act"])

    def forward() -> None:
        with torch.no_grad():
            for _ in range(max(1, tokens // ids.numel())):
                plain.run(ids, None)

    ways = {
        "plain": work(forward),
        "record": work(
            lambda: record(model, Numbers(), {"de": texts(tokens)}, length=length, batch_size=4)
        ),
    }
    case = f"from {tokens} tokens of text to statistics"
    yield from interleaved("recording", case, ways, options.of(1, 3, 9), options.device)
