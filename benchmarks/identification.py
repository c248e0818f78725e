"""Average precision against a loop over scikit-learn, with equal values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from benchmarks.measuring import Options, interleaved, work
from lsn_eval.identification.average_precision import precision_of_units


def rows(options: Options) -> Iterator[dict[str, Any]]:
    texts, positive, units = options.of((60, 10, 4), (3000, 500, 100), (3000, 500, 200))
    generator = np.random.RandomState(0)
    labels = np.zeros(texts, np.bool_)
    labels[generator.permutation(texts)[:positive]] = True
    # As many units as fill a block of ours; a few of them through scikit-learn.
    block = options.of(8, 4096, 8192)
    responses = generator.normal(size=(texts, block)).astype(np.float16)
    responses[labels] += generator.normal(size=block).astype(np.float16)

    def theirs() -> list[float]:
        single = responses[:, :units].astype(np.float32)
        return [average_precision_score(labels, single[:, unit]) for unit in range(units)]

    found = precision_of_units(responses, labels[None])[0][:units]
    if not np.allclose(found, theirs(), atol=1e-6):
        raise SystemExit("average precision differs from scikit-learn's")
    ways = {
        f"scikit-learn, {units} units": work(theirs),
        f"ours, {block} units": work(lambda: precision_of_units(responses, labels[None])),
    }
    case = f"average precision, {texts} texts"
    yield from interleaved("identification", case, ways, options.of(1, 3, 7))
