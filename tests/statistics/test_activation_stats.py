"""ActivationStats: counts of others, access, what is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders.statistics import LAYERS, MODEL, WIDTH, statistics

from lsn_eval.errors import StatisticsError
from lsn_eval.statistics import ActivationStats


def test_from_counts() -> None:
    counts = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    for given in (counts, torch.from_numpy(counts), counts.tolist()):
        stats = ActivationStats.from_counts(given, torch.tensor([24, 48]), ["de", "fr"])
        assert stats.languages == ("de", "fr")
        assert stats.tokens == {"de": 24, "fr": 48}
        assert stats.hookpoints == ("mlp.act",)
        assert stats.model.layers == ("0", "1", "2")
        np.testing.assert_array_equal(stats.get("mlp.act", "positive"), counts)
        np.testing.assert_allclose(stats.probability("mlp.act")[1], counts[1] / 48)
    # Published counts can be more than the tokens.
    stats = ActivationStats.from_counts([[[1001, 0]]], [1000], ["de"])
    np.testing.assert_allclose(stats.probability(), [[[1.001, 0]]])


@pytest.mark.parametrize(
    ("counts", "tokens", "languages", "message"),
    [
        (np.zeros((2, 1, 1)), [1, 1], ["de", "fr"], "whole numbers with 3 axes.*float64"),
        (np.zeros((1, 1), int), [1], ["de"], r"3 axes were expected.*\[1, 1\]"),
        (np.zeros((2, 1, 1), int), [1, 1], ["de"], "counts of 2 languages.*1 names"),
        (np.zeros((1, 1, 1), int), [1, 2], ["de"], "tokens of 2"),
        (np.zeros((1, 1, 1), int) - 1, [1], ["de"], "negative"),
        (np.zeros((1, 1, 1), int), [-1], ["de"], "tokens"),
        (np.zeros((2, 1, 1), int), [1, 1], ["de", "de"], "each once"),
        (np.zeros((1, 1, 1), int), [1], ["de/fr"], "a name such as"),
        (np.zeros((1, 1, 1), int), [1], ["none"], "a name such as"),
    ],
)
def test_counts_that_make_no_sense(counts, tokens, languages, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        ActivationStats.from_counts(counts, tokens, languages)


def test_what_is_not_there_is_an_error_that_says_what_is() -> None:
    counts = ActivationStats.from_counts(np.zeros((2, 1, 1), int), [1, 0], ["de", "fr"])
    for ask, message in (
        (lambda: counts.get("mlp.act", "p90"), "no 'p90' of mlp.act; they hold positive: record"),
        (lambda: counts.get("attn.q", "positive"), "'attn.q' was not recorded.*mlp.act"),
        (lambda: counts.probability("mlp.act"), "fr has no tokens"),
        (lambda: counts.language_index("vi"), "no language 'vi'; they have de, fr"),
        (lambda: counts.responses("mlp.act", 0), "--per-text"),
        (lambda: statistics(texts=True).responses("mlp.act", 7), "layer '7' does not exist"),
        (lambda: statistics().keep(statistics=["mode"]), "no 'mode'"),
    ):
        with pytest.raises(StatisticsError, match=message):
            ask()
    assert counts.text_languages is None


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("mode", np.zeros((1, LAYERS, WIDTH)), "statistic must be one of"),
        ("mean", np.zeros((1, LAYERS, WIDTH), np.float32), "float32.*float64.*was expected"),
        ("mean", np.zeros((2, LAYERS, WIDTH)), r"\[1, 2, 5\]"),
    ],
)
def test_arrays_are_checked(name: str, array: np.ndarray, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        ActivationStats(MODEL, ("de",), {"de": 1}, {"mlp.act": {name: array}})


def test_keep() -> None:
    stats = statistics(texts=True)
    kept = stats.keep(languages=["fr"], statistics=["positive", "p90"])
    assert kept.languages == ("fr",)
    assert kept.names("mlp.act") == ("positive", "p90")
    np.testing.assert_array_equal(kept.get("attn.q", "p90")[0], stats.get("attn.q", "p90")[1])
    assert list(kept.samples) == ["fr"]
    np.testing.assert_array_equal(kept.responses("attn.q", 1), stats.responses("attn.q", 1)[3:])
    assert not stats.keep(statistics=["mean"]).samples
    swapped = stats.keep(languages=["fr", "de"])
    np.testing.assert_array_equal(swapped.get("mlp.act", "max"), stats.get("mlp.act", "max")[::-1])
    with pytest.raises(ValueError, match="read-only"):
        stats.get("mlp.act", "mean")[0] = 0
