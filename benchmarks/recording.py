"""What recording costs: time against the plain forward pass, memory against the corpus.

    OMP_NUM_THREADS=1 python benchmarks/recording.py --out benchmarks/recording.json

Time: a Llama-shaped model, float32, one thread. Every round runs each variant once on a batch of
its own, in an order drawn anew; a ratio is a variant's time over the mean of two plain passes of
the same round, and `plain, again` is one of these over the other: what noise alone does. `steady`
is after a million tokens, when few tokens still enter the sample of the quantiles; `start` is the
first 16,384, when most do (after one batch of warm-up).

Memory: the peak of a fresh process that records so many tokens (Linux).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
import transformers

from lsn_eval.recording import RecordingSettings, record
from lsn_eval.recording.checkpoints import Checkpoints
from lsn_eval.recording.language_recording import LanguageRecording
from lsn_eval.recording.observing import Batch
from lsn_eval.recording.packing import RowSettings, RowStream
from lsn_eval.recording.recorded_model import RecordedModel
from lsn_eval.recording.tokenizing import Encoding
from lsn_eval.statistics.quantiles import token_keys

VOCABULARY = 4096
PLAIN, AGAIN = "plain", "plain, again"
START_TOKENS = 16384
WARM_UP = 1


def llama(hidden: int, width: int, layers: int, positions: int) -> torch.nn.Module:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, hidden // 64),
        max_position_embeddings=positions,
        pad_token_id=0,
    )
    return transformers.LlamaForCausalLM(config).eval()


# Time ----------------------------------------------------------------------------------------


def recorder(model: torch.nn.Module, folder: Path, settings: RecordingSettings, batch: int) -> Any:
    recorded = RecordedModel(model, settings.hookpoints)
    rows = RowSettings(length=settings.length or 1, pack=settings.pack)
    encoding = Encoding(
        None, special_tokens=False, skip_special_tokens=False, vocabulary=VOCABULARY
    )
    return LanguageRecording(
        recorded,
        RowStream("de", [], encoding, rows),
        encoding,
        settings,
        Checkpoints(folder),
        batch_size=batch,
        shard=(1, 1),
    )


def seen(recording: Any, tokens: int, length: int) -> None:
    """Bring the sample to where it is after `tokens`, without running the model."""
    if recording.sample is not None:
        for start in range(0, tokens // length, 64):
            places = np.divmod(np.arange(64 * length), length)
            recording.sample.choose(token_keys(1, places[0] + start, places[1]))


def measure_time(arguments: argparse.Namespace) -> dict[str, Any]:
    length, batch = arguments.length, arguments.batch
    model = llama(arguments.hidden, arguments.width, arguments.layers, length)
    plain = RecordedModel(model, ["mlp.act"])
    variants: dict[str, RecordingSettings] = {
        "counts": RecordingSettings(length=length, statistics="counts"),
        "everything": RecordingSettings(length=length),
        "everything, all linear outputs": RecordingSettings(
            length=length,
            hookpoints=(
                "mlp.gate", "mlp.up", "mlp.down", "attn.q", "attn.k", "attn.v", "attn.o",
            ),
        ),
        "everything, with each text's": RecordingSettings(
            length=length, pack=False, per_text=True
        ),
    }  # fmt: skip
    generator = np.random.default_rng(0)
    found: dict[str, Any] = {}
    start_rounds = max(1, START_TOKENS // (length * batch))
    for phase, before, rounds, repeats in (
        ("start", 0, start_rounds, max(1, arguments.rounds // (2 * start_rounds))),
        ("steady", 1_000_000, arguments.rounds, 1),
    ):
        ratios: dict[str, list[float]] = {}
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                runs: dict[str, Callable[[Batch], None]] = {
                    PLAIN: lambda b: plain.run(b.ids, None),
                    AGAIN: lambda b: plain.run(b.ids, None),
                }
                for number, (name, settings) in enumerate(variants.items()):
                    place = Path(folder) / str(number)
                    place.mkdir()
                    recording = recorder(model, place, settings, batch)
                    seen(recording, before, length)
                    runs[name] = _run(recording)
                for name, values in rounds_of(
                    runs, rounds, before // length, length, batch, generator
                ).items():
                    ratios.setdefault(name, []).extend(values)
        for name, values in ratios.items():
            low, median, high = statistics.quantiles(values, n=4)
            found.setdefault(name, {})[phase] = {
                "median": round(median, 4), "quartiles": [round(low, 4), round(high, 4)],
                "rounds": len(values),
            }  # fmt: skip
            print(f"{phase:7} {name:32} {median:.3f} ({low:.3f} to {high:.3f})", flush=True)
    return found


def _run(recording: Any) -> Callable[[Batch], None]:
    return lambda batch: recording.run_batch(batch, 1)


def rounds_of(
    runs: dict[str, Callable[[Batch], None]],
    rounds: int,
    first_row: int,
    length: int,
    batch: int,
    generator: np.random.Generator,
) -> dict[str, list[float]]:
    order = Random(0)
    ratios: dict[str, list[float]] = {name: [] for name in runs if name != PLAIN}
    none = np.zeros(0, np.int64)
    for number in range(rounds + WARM_UP):
        rows = list(generator.integers(1, VOCABULARY, (batch, length)))
        data = Batch.of(rows, first_row + number * batch, 0, none)
        names = list(runs)
        order.shuffle(names)
        took = {}
        for name in names:
            with torch.no_grad():
                started = time.perf_counter()
                runs[name](data)
                took[name] = time.perf_counter() - started
        if number < WARM_UP:
            continue
        both = (took[PLAIN] + took[AGAIN]) / 2
        for name in ratios:
            ratios[name].append(took[name] / (took[PLAIN] if name == AGAIN else both))
    return ratios


# Memory --------------------------------------------------------------------------------------


class Numbers:
    """A tokenizer of our own: texts are numbers, spaced."""

    all_special_ids: tuple[int, ...] = ()
    pad_token_id = 0
    name_or_path = "numbers"

    def __call__(self, texts: list[str], **options: Any) -> dict[str, list[list[int]]]:
        return {"input_ids": [list(map(int, text.split())) for text in texts]}


def texts(tokens: int) -> Iterator[str]:
    generator = np.random.default_rng(0)
    for _ in range(tokens // 100):
        yield " ".join(map(str, generator.integers(1, VOCABULARY, 100)))


def record_many(tokens: int) -> None:
    """Record so many tokens, and print the peak of this process in MiB."""
    torch.set_num_threads(1)
    record(llama(128, 344, 2, 256), Numbers(), {"de": texts(tokens)}, length=256, batch_size=8)
    # Not getrusage: its peak is at least that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def measure_memory(sizes: list[int]) -> dict[str, float]:
    found = {}
    for tokens in sizes:
        command = [sys.executable, __file__, "--record", str(tokens)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[str(tokens)] = round(float(output.split()[-1]), 1)
        print(f"{tokens:>9} tokens: peak {found[str(tokens)]:.1f} MiB", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--width", type=int, default=1376)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--memory", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--record", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.record:
        record_many(arguments.record)
        return
    torch.set_num_threads(1)
    result = {
        "model": f"Llama-shaped, hidden {arguments.hidden}, {arguments.layers} layers of "
        f"{arguments.width} neurons, float32, one thread",
        "batch": [arguments.batch, arguments.length],
        "torch": torch.__version__,
        "time_over_plain_forward": measure_time(arguments),
        "peak_memory_mib": measure_memory(arguments.memory),
    }
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
