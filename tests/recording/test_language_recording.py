"""One language's batches: what they do to a device that runs behind the program."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest
import torch
from builders.architectures import tiny_model
from torch.utils._python_dispatch import TorchDispatchMode

from lsn_eval.recording import RecordingSettings, language_recording, record
from lsn_eval.recording.accumulators import SiteAccumulator
from lsn_eval.recording.checkpoints import Checkpoints
from lsn_eval.recording.language_recording import LanguageRecording
from lsn_eval.recording.observing import NOTHING, Batch, Observation, fetched
from lsn_eval.recording.packing import RowSettings, RowStream
from lsn_eval.recording.recorded_model import RecordedModel
from lsn_eval.recording.tokenizing import Encoding

WAITS = ("_local_scalar_dense", "nonzero", "equal", "masked_select", "unique")
"""Operations whose result the program waits for; copies apart."""


class _Watched(TorchDispatchMode):
    """Counts the operations of a pass that would wait for a device."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = function.overloadpacket.__name__
        # A comparison result as an index is as many values as are true.
        indexed = name.startswith("index") and any(
            isinstance(index, torch.Tensor) and index.dtype == torch.bool
            for given in args[1:]
            if isinstance(given, list | tuple)
            for index in given
        )
        if indexed or name.startswith(WAITS):
            self.waited[name] += 1
        return function(*args, **(kwargs or {}))


def _refused(tensor: torch.Tensor) -> None:
    raise AssertionError("the values of a device were asked for")


@pytest.mark.parametrize("statistics", ["all", "counts"])
@pytest.mark.parametrize("per_text", [False, True])
def test_no_batch_waits_for_the_device(
    statistics: str, per_text: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sampled tokens and means of texts stay there until there are many, and are then those that
    are fetched with every batch. The CPU stands for a device, and adds as one."""
    monkeypatch.setattr(SiteAccumulator, "_add_on_cpu", SiteAccumulator._add_on_device)
    see, watched = Observation.see, _Watched()
    alive: WeakSet[Observation] = WeakSet()

    def watch(*given: Any) -> None:
        alive.add(given[0])
        with monkeypatch.context() as patch, watched:
            for name in ("cpu", "numpy", "tolist"):
                patch.setattr(torch.Tensor, name, _refused)
            see(*given)

    monkeypatch.setattr(Observation, "see", watch)
    fetches: list[int] = []
    monkeypatch.setattr(
        language_recording, "fetched", lambda parts: fetches.append(len(parts)) or fetched(parts)
    )
    settings = RecordingSettings(
        length=16, statistics=statistics, pack=not per_text, per_text=per_text, sample_tokens=8,
        hookpoints=("mlp.act", "attn.k"),
    )  # fmt: skip
    model = RecordedModel(tiny_model("llama"), settings.hookpoints)
    encoding = Encoding(None, special_tokens=False, skip_special_tokens=False, vocabulary=256)
    generator = np.random.default_rng(0)
    rows = [generator.integers(1, 256, size) for size in (16, 9, 12, 16) * 12]
    results = []
    for most in (0, 10**6):
        monkeypatch.setattr(language_recording, "WAITING_ROWS", most)
        folder = tmp_path / str(most)
        folder.mkdir()
        recording = LanguageRecording(
            model, RowStream("de", [], encoding, RowSettings(16, pack=not per_text)), encoding,
            settings, Checkpoints(folder), batch_size=4, shard=(1, 1),
        )  # fmt: skip
        fetches.clear()
        with model.evaluating():
            for first in range(0, len(rows), 4):
                recording.run_batch(Batch.of(rows[first : first + 4], first, 0, NOTHING), 1)
        assert bool(alive) == (most > 0 and (per_text or statistics == "all"))
        assert bool(fetches) == (most == 0 and (per_text or statistics == "all"))
        results.append(recording.result(keep_sample=True))
        assert fetches or (not per_text and statistics == "counts")
    assert not watched.waited
    assert results[0].digest == results[1].digest


def test_the_watch_sees_what_would_wait() -> None:
    values = torch.arange(4.0)
    with _Watched() as watched:
        values[values > 1]
        bool(values.any())
        values.nonzero()
        values[torch.tensor([1, 2])]
    assert watched.waited == {"index": 1, "_local_scalar_dense": 1, "nonzero": 1}


@pytest.mark.parametrize(("measured", "told"), [(2, True), (10**6, False)])
def test_what_recording_adds_is_told_once_enough_was_run(
    measured: int, told: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = {"de": torch.arange(512) % 256}
    options: dict[str, Any] = {"length": 16, "batch_size": 4}
    plain = record(tiny_model("llama"), None, ids, **options)
    monkeypatch.setattr(language_recording, "MEASURED_BATCHES", measured)
    stats = record(tiny_model("llama"), None, ids, progress=True, **options)
    shown = capsys.readouterr().err
    assert "tok/s" in shown
    assert bool(re.search(r"tok/s, \d+% of the model's own speed", shown)) == told
    assert stats.digest == plain.digest
