"""Average precision of many units: this package against a loop over scikit-learn, one thread.

    OMP_NUM_THREADS=1 python benchmarks/average_precision.py

Prints JSON; the last figures are in benchmarks/average_precision.json (`--out` writes them).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import sklearn
from sklearn.metrics import average_precision_score

from lsn_eval.identification.average_precision import precision_of_units


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=3000)
    parser.add_argument("--positive", type=int, default=500)
    parser.add_argument("--units", type=int, default=8192)
    parser.add_argument("--sklearn-units", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()

    generator = np.random.RandomState(0)
    labels = np.zeros(arguments.texts, np.bool_)
    labels[generator.permutation(arguments.texts)[: arguments.positive]] = True
    responses = generator.normal(size=(arguments.texts, arguments.units)).astype(np.float16)
    responses[labels] += generator.normal(size=arguments.units).astype(np.float16)

    ours, theirs = [], []
    for _ in range(arguments.rounds):  # interleaved, so that both meet the same noise
        start = time.perf_counter()
        found = precision_of_units(responses, labels[None])[0]
        ours.append((time.perf_counter() - start) / arguments.units)
        start = time.perf_counter()
        expected = [
            average_precision_score(labels, responses[:, unit].astype(np.float32))
            for unit in range(arguments.sklearn_units)
        ]
        theirs.append((time.perf_counter() - start) / arguments.sklearn_units)
    ratios = [slow / fast for slow, fast in zip(theirs, ours, strict=True)]
    difference = np.abs(found[: arguments.sklearn_units] - expected).max()
    distinct = np.mean([np.unique(responses[:, unit]).size for unit in range(50)])
    figures = {
        "texts": arguments.texts,
        "positive": arguments.positive,
        "units": arguments.units,
        "distinct_scores_per_unit": float(distinct),
        "microseconds_per_unit": round(1e6 * statistics.median(ours), 2),
        "scikit_learn_microseconds_per_unit": round(1e6 * statistics.median(theirs), 1),
        "times_faster_median": round(statistics.median(ratios), 1),
        "times_faster_range": [round(min(ratios), 1), round(max(ratios), 1)],
        "largest_difference": float(difference),
        "rounds": arguments.rounds,
        "versions": {
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "python": platform.python_version(),
        },
        "processor": platform.machine(),
    }
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
