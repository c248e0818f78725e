"""Changes, intervals and ranks, against arithmetic that fits on a slip of paper."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lsn_eval.comparisons import (
    DocumentScores,
    rank_p_value,
    relative_change,
    relative_change_interval,
)
from lsn_eval.errors import LsnError


def test_perplexity_and_its_relative_change():
    baseline = DocumentScores.of([(-10.0, 5), (-6.0, 3)])
    condition = DocumentScores.of([(-14.0, 5), (-6.0, 3)])
    assert baseline.perplexity == pytest.approx(math.exp(2))
    assert condition.perplexity == pytest.approx(math.exp(2.5))
    assert relative_change(baseline, condition) == pytest.approx(math.exp(0.5) - 1)
    assert relative_change(condition, baseline) == pytest.approx(math.exp(-0.5) - 1)
    assert relative_change(baseline, baseline) == 0


@pytest.mark.parametrize("other", [[(-1.0, 5)], [(-1.0, 5), (-1.0, 4)]])
def test_different_documents_are_not_compared(other):
    baseline = DocumentScores.of([(-10.0, 5), (-6.0, 3)])
    with pytest.raises(LsnError, match="the same documents"):
        relative_change(baseline, DocumentScores.of(other))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    covered, trials = 0, 200
    for _ in range(trials):
        tokens = generator.integers(20, 80, size=40)
        baseline = -3.0 * tokens + generator.normal(0, 5, size=40)
        loss = generator.normal(0.2, 0.15, size=40) * tokens
        low, high = relative_change_interval(
            DocumentScores.of(list(zip(baseline, tokens, strict=True))),
            DocumentScores.of(list(zip(baseline - loss, tokens, strict=True))),
        )
        covered += low <= math.expm1(0.2) <= high
    assert 0.88 <= covered / trials <= 0.99


def test_the_interval_is_of_pairs_and_the_same_every_time():
    tokens = list(range(20, 80, 2))
    baseline = DocumentScores.of([(-100.0 - 20 * n, t) for n, t in enumerate(tokens)])
    condition = DocumentScores.of([(-100.0 - 0.1 * t - 20 * n, t) for n, t in enumerate(tokens)])
    low, high = relative_change_interval(baseline, condition)
    assert low == pytest.approx(high) == pytest.approx(math.expm1(0.1))
    noisy = DocumentScores.of([(-105.0 - 20 * n - n % 3, t) for n, t in enumerate(tokens)])
    first = relative_change_interval(baseline, noisy)
    assert first == relative_change_interval(baseline, noisy)
    assert first[0] < relative_change(baseline, noisy) < first[1]


@pytest.mark.parametrize(
    ("value", "controls", "expected"),
    [(0.5, [0.1] * 19, 0.05), (0.5, [0.1] * 5, 1 / 6), (0.1, [0.1, 0.0], 2 / 3), (-1, [0, 1], 1)],
)
def test_rank_among_controls(value, controls, expected):
    assert rank_p_value(value, controls) == pytest.approx(expected)
