"""Shards add up to one run, and a stopped recording goes on, to the last bit."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders.architectures import tiny_model
from builders.plain_recording import TEXTS, assert_same, assert_same_responses

from lsn_eval.errors import RecordingError
from lsn_eval.recording import record
from lsn_eval.recording.checkpoints import Checkpoints, unfinished_folder
from lsn_eval.statistics import ActivationStats


@pytest.mark.parametrize(
    ("pack", "texts", "count"),
    [(True, TEXTS, 3), (False, TEXTS, 3), (True, {"de": TEXTS["de"][:3]}, 4)],
    ids=["packed", "a text a row", "more shards than batches"],
)
@pytest.mark.slow
def test_shards_add_up_to_one_run(tokenizer, pack: bool, texts: dict[str, Any], count: int) -> None:
    model = tiny_model("llama")
    options: dict[str, Any] = {
        "length": 16, "batch_size": 3, "sample_tokens": 150, "pack": pack, "per_text": not pack,
    }  # fmt: skip
    whole = record(model, tokenizer, texts, **options)
    order = [*range(2, count + 1), 1]
    shards = [record(model, tokenizer, texts, shard=(n, count), **options) for n in order]
    assert (0 in [shard.tokens["de"] for shard in shards]) == (count == 4)
    merged = ActivationStats.merged(shards)
    assert merged.languages == whole.languages
    assert merged.tokens == whole.tokens
    for name in whole.names("mlp.act"):
        found, expected = merged.get("mlp.act", name), whole.get("mlp.act", name)
        if name in ("mean", "variance"):
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)
        else:
            np.testing.assert_array_equal(found, expected)
    assert_same_responses(merged, whole)
    assert merged.provenance["corpora"]["de"] == whole.provenance["corpora"]["de"]
    with pytest.raises(ValueError, match="share tokens"):
        shards[0].merge(shards[0])


class _Stopping:
    """Texts that raise after `count` of them."""

    source = "stopping"

    def __init__(self, texts: list[str], count: int = -1) -> None:
        self.texts, self.count = texts, count

    def __iter__(self) -> Iterator[str]:
        for number, text in enumerate(self.texts):
            if number == self.count:
                self.stop()
            yield text

    def stop(self) -> None:
        raise RuntimeError("stopped")


def stop(out: Path, tokenizer: Any, texts: list[str], count: int, **options: Any) -> None:
    """Leave an unfinished recording that stopped after `count` texts."""
    with pytest.raises(RuntimeError, match="stopped"):
        stopping = {"de": _Stopping(texts, count)}
        record(tiny_model("llama"), tokenizer, stopping, out=out, **{**SMALL, **options})


SMALL: dict[str, Any] = {"length": 16, "batch_size": 8, "checkpoint_seconds": 0}
MANY = {language: texts * 30 for language, texts in TEXTS.items()}


@pytest.mark.parametrize(("stopped", "pack"), [("de", True), ("fr", False)])
@pytest.mark.slow
def test_resuming_gives_the_same_bits(tmp_path: Path, tokenizer, pack: bool, stopped: str) -> None:
    model = tiny_model("llama")
    options: dict[str, Any] = {
        "length": 16, "batch_size": 8, "sample_tokens": 300, "pack": pack, "per_text": not pack,
    }  # fmt: skip

    def texts(count: int) -> dict[str, _Stopping]:
        return {
            language: _Stopping(many, count if language == stopped else -1)
            for language, many in MANY.items()
        }

    record(model, tokenizer, texts(-1), out=tmp_path / "whole", **options)
    out = tmp_path / "stats"
    # A state after every batch, and none: then everything runs again.
    for seconds in (0, 10**6):
        for count in (300, 500):
            with pytest.raises(RuntimeError, match="stopped"):
                record(
                    model, tokenizer, texts(count), out=out, resume=count > 300,
                    checkpoint_seconds=seconds, **options,
                )  # fmt: skip
            assert not out.exists()
        record(model, tokenizer, texts(-1), out=out, resume=True, **options)
        assert not unfinished_folder(out).exists()
        assert out.read_bytes() == (tmp_path / "whole").read_bytes()
        out.unlink()


@pytest.mark.slow
def test_what_resuming_refuses(tmp_path: Path, tokenizer) -> None:
    model = tiny_model("llama")
    out = tmp_path / "stats"
    stop(out, tokenizer, MANY["de"], 300)
    options, texts = {"out": out, **SMALL}, {"de": _Stopping(MANY["de"])}
    with pytest.raises(RecordingError, match=r"unfinished recording is in .*--resume"):
        record(model, tokenizer, texts, **options)
    options["resume"] = True
    for change, message in (
        ({"length": 32}, "length was 16 and is now 32"),
        ({"batch_size": 4}, "batch_size was 8 and is now 4"),
        ({"hookpoints": ["attn.q"]}, "hookpoints was"),
        ({"statistics": "counts"}, "statistics was all and is now counts"),
    ):
        with pytest.raises(RecordingError, match=message):
            record(model, tokenizer, texts, **{**options, **change})
    other = tiny_model("llama")
    with torch.no_grad():
        other.model.layers[0].mlp.up_proj.weight.mul_(2)
    with pytest.raises(RecordingError, match="weights_fingerprint was"):
        record(other, tokenizer, texts, **options)
    changed = [*MANY["de"][:250], "something else", *MANY["de"][251:]]
    for other in ([f"x{text}" for text in MANY["de"]], MANY["de"][:100], changed):
        with pytest.raises(RecordingError, match="not those that were recorded before the stop"):
            record(model, tokenizer, {"de": _Stopping(other)}, **options)
    part = unfinished_folder(out) / "process-0"
    part.mkdir()
    with pytest.raises(RecordingError, match="launch as many"):
        record(model, tokenizer, texts, **options)
    part.rmdir()
    record(model, tokenizer, texts, **options)
    with pytest.raises(RecordingError, match="is finished, there is nothing to resume"):
        record(model, tokenizer, texts, **options)


@pytest.mark.parametrize("change", ["shortened", "changed"])
@pytest.mark.slow
def test_texts_are_the_same_as_far_as_batches_were_run(
    tmp_path: Path, tokenizer, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the saved state, too: the batches run since then have written into the sample."""
    model = tiny_model("llama")
    out = tmp_path / "stats"
    options: dict[str, Any] = {"length": 16, "batch_size": 8, "sample_tokens": 50}
    lines = [f"{number:16}" for number in range(700)]  # a row each: 200 of them fill batches
    saves = []
    save = Checkpoints.save
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", lambda *given: saves.append(saves or save(*given)))
        stop(out, tokenizer, lines, 600, sample_tokens=50)
    assert len(saves) > 5
    other = lines[:200] if change == "shortened" else [*lines[:200], *MANY["fr"]]
    with pytest.raises(RecordingError, match="not those that were recorded before the stop"):
        record(model, tokenizer, {"de": _Stopping(other)}, out=out, resume=True, **options)
    texts = {"de": _Stopping(lines)}
    resumed = record(model, tokenizer, texts, out=out, resume=True, **options)
    assert_same(resumed, record(model, tokenizer, texts, **options))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("arguments.json", b'{"compared": {}}', "of another version"),
        ("arguments.json", b"[" * 9999, "nested deeper"),
        ("state", b"no safetensors", "state is not a safetensors file.*delete"),
        ("batches", None, "batches cannot be read"),
        ("sample.mlp.act", b"", "has lost what was recorded"),
    ],
)
@pytest.mark.slow
def test_a_damaged_folder_is_not_gone_on_from(
    tmp_path: Path, tokenizer, file: str, content: bytes | None, message: str
) -> None:
    out = tmp_path / "stats"
    stop(out, tokenizer, MANY["de"], 300)
    damaged = unfinished_folder(out) / file
    damaged.unlink() if content is None else damaged.write_bytes(content)
    texts = {"de": _Stopping(MANY["de"])}
    with pytest.raises(RecordingError, match=message):
        record(tiny_model("llama"), tokenizer, texts, out=out, resume=True, **SMALL)


TO_KILL = """
import os, signal, sys, threading, time
from pathlib import Path
sys.path[:0] = [{tests!r}]
from builders.architectures import tiny_model
from lsn_eval.recording import record
import torch

def kill():
    while not Path({state!r}).exists():
        time.sleep(0.02)
    time.sleep(0.25)  # into the batches after a saved state
    os.kill(os.getpid(), signal.SIGKILL)

ids = torch.randint(0, 256, (15_000,), generator=torch.Generator().manual_seed(0))
model = tiny_model("llama")
model.model.embed_tokens.register_forward_hook(lambda *args: time.sleep(0.02))
threading.Thread(target=kill, daemon=True).start()
record(model, None, {{"de": ids}}, length=32, batch_size=4, sample_tokens=500,
       checkpoint_seconds=0.1, out={out!r})
"""


@pytest.mark.slow
def test_a_killed_recording_goes_on(tmp_path: Path, warm_commands: Path) -> None:
    out = tmp_path / "stats"
    state = unfinished_folder(out) / "state"
    tests = str(Path(__file__).parents[1])
    code = TO_KILL.format(tests=tests, out=str(out), state=str(state))
    done = subprocess.run([warm_commands / "python", "-c", code], timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert state.exists()
    assert not out.exists()
    options: dict[str, Any] = {"length": 32, "batch_size": 4, "sample_tokens": 500}
    texts = {"de": torch.randint(0, 256, (15_000,), generator=torch.Generator().manual_seed(0))}
    model = tiny_model("llama")
    record(model, None, texts, out=out, resume=True, **options)
    record(model, None, texts, out=tmp_path / "whole", **options)
    assert out.read_bytes() == (tmp_path / "whole").read_bytes()
