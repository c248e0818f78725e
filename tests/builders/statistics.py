"""Statistics of random values, to save, load and merge."""

from __future__ import annotations

from typing import Any

import numpy as np

from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics import ActivationStats
from lsn_eval.statistics.content import TextResponses
from lsn_eval.statistics.quantiles import QUANTILES, TokenSample

LAYERS, WIDTH = 2, 5
MODEL = ModelLayout.numbered(LAYERS, {"mlp.act": WIDTH, "attn.q": 3}, type="llama", name="tiny")


def statistics(
    seed: int = 0,
    tokens: int = 100,
    languages: tuple[str, ...] = ("de", "fr"),
    corpus: dict[str, Any] | None = None,
    texts: bool = False,
) -> ActivationStats:
    """Statistics of random values [token, layer, neuron], all of them sampled."""
    generator = np.random.default_rng(seed)
    arrays: dict[str, dict[str, np.ndarray]] = {}
    keys = [np.sort(generator.integers(0, 2**63, tokens).astype(np.uint64)) for _ in languages]
    values: dict[str, list[np.ndarray]] = {}
    for hookpoint, width in MODEL.widths.items():
        shape = (len(languages), tokens, LAYERS, width)
        drawn = generator.normal(size=shape).astype(np.float16)
        values[hookpoint] = list(drawn)
        wide = drawn.astype(np.float64)
        arrays[hookpoint] = {
            "positive": (wide > 0).sum(1),
            "mean": wide.mean(1),
            "variance": wide.var(1),
            "max": wide.max(1).astype(np.float32),
        }
    samples = {
        language: TokenSample(1000, keys[n], {h: values[h][n] for h in values})
        for n, language in enumerate(languages)
    }
    for hookpoint in arrays:
        for name in QUANTILES:
            arrays[hookpoint][name] = np.stack(
                [samples[language].quantiles(hookpoint)[name] for language in languages]
            )
    provenance: dict[str, Any] = {"dtype": "float32", "command": f"seed {seed}"}
    if corpus is not None:
        digest = corpus.get("texts_sha256", "")
        provenance["corpora"] = {
            language: [{"tokens": tokens, "rows": 1, **corpus, "texts_sha256": language + digest}]
            for language in languages
        }
    responses = None
    if texts:
        count = 3 * len(languages)
        responses = TextResponses(
            np.repeat(np.array(languages), 3),
            np.tile(np.arange(3) * 2 + seed % 2, len(languages)),
            lambda hookpoint, layer: (
                np.arange(count * MODEL.widths[hookpoint], dtype=np.float16).reshape(count, -1)
                + np.float16(int(layer) * 100 + seed * 1000)
            ),
        )
    return ActivationStats(
        MODEL, languages, dict.fromkeys(languages, tokens), arrays, provenance, samples, responses
    )


def assert_equal(a: ActivationStats, b: ActivationStats) -> None:
    assert a.digest == b.digest
    assert (a.model, a.languages, dict(a.tokens)) == (b.model, b.languages, dict(b.tokens))
    for language in a.samples:
        np.testing.assert_array_equal(a.samples[language].keys, b.samples[language].keys)
        for hookpoint in a.hookpoints:
            np.testing.assert_array_equal(
                a.samples[language].values[hookpoint], b.samples[language].values[hookpoint]
            )
