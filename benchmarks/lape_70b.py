"""LAPE on statistics the size of a 70B model (80 layers, 28,672 neurons): time and peak memory.

    OMP_NUM_THREADS=1 python benchmarks/lape_70b.py

Counts are random: most neurons fire at any rate, a few in one language alone. Peak memory is the
process's resident peak; what it held before the first call is printed beside it. Prints JSON; the
last figures are in benchmarks/lape_70b.json (`--out` writes them).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import platform
import resource
import sys
import time
from pathlib import Path

import numpy as np

from lsn_eval.identification import identify
from lsn_eval.identification.lape import lape
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics import ActivationStats

LANGUAGES = ("en", "de", "fr", "es", "zh", "ja", "tr")
TOKENS = 100_000_000


def peak_mib() -> float:
    """Resident peak so far, in MiB (Linux counts in KiB, macOS in bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def random_statistics(layers: int, width: int) -> ActivationStats:
    """Counts [language, layer, neuron], filled a language at a time."""
    generator = np.random.default_rng(0)
    counts = np.empty((len(LANGUAGES), layers, width), np.int64)
    common = generator.beta(1, 4, size=(layers, width))
    owner = generator.integers(0, 40 * len(LANGUAGES), size=(layers, width))
    for number in range(len(LANGUAGES)):
        rates = common * generator.uniform(0.7, 1.3, size=(layers, width))
        rates[owner == number] = 0.9
        rates[(owner != number) & (owner < len(LANGUAGES))] *= 0.1
        counts[number] = np.minimum(rates, 1) * TOKENS
    return ActivationStats(
        model=ModelLayout.numbered(layers, {"mlp.act": width}),
        languages=LANGUAGES,
        tokens=dict.fromkeys(LANGUAGES, TOKENS),
        arrays={"mlp.act": {"positive": counts}},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=80)
    parser.add_argument("--width", type=int, default=28672)
    parser.add_argument("--controls", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()

    stats = random_statistics(arguments.layers, arguments.width)
    figures: dict[str, object] = {
        "shape": [len(LANGUAGES), arguments.layers, arguments.width],
        "mib_of_counts": round(stats.get("mlp.act", "positive").nbytes / 2**20, 1),
        "peak_mib_before": round(peak_mib(), 1),
    }
    times = []
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        lape(stats)
        times.append(time.perf_counter() - start)
    figures["seconds_lape"] = round(sorted(times)[len(times) // 2], 2)
    figures["peak_mib_lape"] = round(peak_mib(), 1)
    start = time.perf_counter()
    mask = identify(stats, method="lape", controls=0)
    figures["seconds_mask_without_controls"] = round(time.perf_counter() - start, 2)
    start = time.perf_counter()
    mask = identify(stats, method="lape", controls=arguments.controls)
    figures[f"seconds_mask_with_{arguments.controls}_controls"] = round(
        time.perf_counter() - start, 2
    )
    figures["peak_mib_mask"] = round(peak_mib(), 1)
    figures["neurons"] = {language: mask.count(language) for language in mask.languages}
    figures["versions"] = {"numpy": np.__version__, "python": platform.python_version()}
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
