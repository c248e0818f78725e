"""Adding up statistics, and the mix-ups that are refused."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders.statistics import LAYERS, MODEL, WIDTH, assert_equal, statistics

from lsn_eval.errors import StatisticsError
from lsn_eval.masks.names import quantile_share
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics import ActivationStats
from lsn_eval.statistics.document_sketch import DocumentSketch
from lsn_eval.statistics.merging import combined_moments
from lsn_eval.statistics.quantiles import QUANTILES


def test_merging_equals_the_union() -> None:
    parts = [statistics(seed, tokens) for seed, tokens in ((1, 30), (2, 500), (3, 1))]
    merged = ActivationStats.merged(parts)
    assert merged.tokens == {"de": 531, "fr": 531}
    for hookpoint in merged.hookpoints:
        for number, language in enumerate(merged.languages):
            union = np.concatenate([p.samples[language].values[hookpoint] for p in parts])
            wide = union.astype(np.float64)
            of = {name: merged.get(hookpoint, name)[number] for name in merged.names(hookpoint)}
            np.testing.assert_array_equal(of["positive"], (wide > 0).sum(0))
            np.testing.assert_array_equal(of["max"], wide.max(0))
            np.testing.assert_allclose(of["mean"], wide.mean(0), rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(of["variance"], wide.var(0), rtol=1e-12)
            for name in QUANTILES:
                share = quantile_share(name)
                np.testing.assert_allclose(
                    of[name], np.quantile(wide, share, axis=0), rtol=1e-5, atol=1e-6
                )


def test_merging_does_not_depend_on_the_order() -> None:
    a, b, c = (statistics(seed, 200) for seed in range(3))
    one = a.merge(b).merge(c)
    other = c.merge(a + b).keep(languages=one.languages)
    for hookpoint in one.hookpoints:
        for name in one.names(hookpoint):
            close = {"rtol": 1e-12, "atol": 1e-15} if name in ("mean", "variance") else {"rtol": 0}
            here, there = (stats.get(hookpoint, name) for stats in (one, other))
            np.testing.assert_allclose(here, there, **close)


def test_variance_far_from_zero_does_not_cancel() -> None:
    values = 1e6 + np.random.default_rng(0).normal(size=(40, 3))
    halves = [values[:15], values[15:]]
    mean, variance = combined_moments(
        [15, 25], [half.mean(0) for half in halves], [half.var(0) for half in halves]
    )
    np.testing.assert_allclose(mean, values.mean(0), rtol=1e-14)
    np.testing.assert_allclose(variance, values.var(0), rtol=1e-9)


def test_languages_are_put_together() -> None:
    whole = statistics(languages=("de", "fr", "vi"), texts=True)
    parts = [whole.keep(languages=[language]) for language in whole.languages]
    assert_equal(ActivationStats.merged(parts), whole)
    mixed = ActivationStats.merged(parts[::-1])
    assert mixed.languages == ("vi", "fr", "de")
    np.testing.assert_array_equal(
        mixed.responses("mlp.act", 0)[-3:], whole.responses("mlp.act", 0)[:3]
    )


def test_texts_of_shards_go_back_into_their_order() -> None:
    odd, even = statistics(1, texts=True), statistics(2, texts=True)
    merged = odd.merge(even)
    assert merged.texts is not None
    assert merged.texts.index.tolist() == [0, 1, 2, 3, 4, 5] * 2
    found = merged.responses("attn.q", 0)
    np.testing.assert_array_equal(found[0:6:2], even.responses("attn.q", 0)[:3])
    np.testing.assert_array_equal(found[1:6:2], odd.responses("attn.q", 0)[:3])
    with pytest.raises(StatisticsError, match="record all of them with --per-text, or none"):
        odd.merge(statistics(3))


ONE = replace(statistics(1), provenance={"dtype": "float32", "settings": {"length": 4}})
OTHER = statistics(2)


def layout(layers: int = LAYERS, width: int = WIDTH, **named: str) -> ModelLayout:
    return ModelLayout.numbered(layers, {"mlp.act": width, "attn.q": 3}, **named)


def counted(shape: tuple[int, ...]) -> ActivationStats:
    return ActivationStats.from_counts(np.zeros(shape, int), [1], ["de"])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(OTHER, model=layout(type="bloom", name="tiny")), "models: type is llama"),
        (replace(OTHER, model=layout(type="llama", name="other")), "models: name is tiny"),
        (counted((1, LAYERS, 6)), "width of mlp.act is 5"),
        (counted((1, 3, 6)), "layers is 2 in one and 3"),
        (replace(OTHER, arrays={"attn.q": OTHER.arrays["attn.q"]}), "different hookpoints"),
        (replace(OTHER, provenance={"dtype": "bfloat16"}), "dtype is float32 in one and bfloat16"),
        (OTHER.keep(statistics=["positive", "max"]), "--keep positive,max$"),
        (replace(OTHER, provenance={"settings": {"length": 8}}), "length is 4 in one and 8"),
        (replace(OTHER, samples={}), "--keep-sample"),
        (replace(OTHER, samples=statistics(1).samples), "the same texts; add each shard once"),
    ],
)
def test_mix_ups_are_errors(other: ActivationStats, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        ONE.merge(other)


def test_what_is_not_said_is_no_mix_up() -> None:
    assert ONE.merge(replace(OTHER, model=layout(revision="x"))).model.revision == "x"
    names = ["positive", "mean", "variance", "max"]
    without = replace(OTHER, samples={}).keep(statistics=names)
    assert ONE.keep(statistics=names).merge(without).tokens["de"] == 200
    with pytest.raises(StatisticsError, match="at least one"):
        ActivationStats.merged([])


def test_the_same_weights_may_have_two_names() -> None:
    here, there = (
        replace(
            statistics(seed),
            model=ModelLayout.numbered(LAYERS, MODEL.widths, name=name),
            provenance={"weights_fingerprint": weights},
        )
        for seed, name, weights in ((1, "/a/tiny", "x"), (2, "/b/tiny", "x"))
    )
    here.merge(there)
    with pytest.raises(StatisticsError, match="digest of the weights"):
        here.merge(replace(there, provenance={"weights_fingerprint": "y"}))
    with pytest.raises(StatisticsError, match="a part of the weights alone.*record it anew"):
        here.merge(replace(there, provenance={"weights_sha256": "x"}))


def shard(seed: int, number: int, of: int, batch_size: int = 4) -> ActivationStats:
    corpus = {"texts_sha256": "t", "shard": [number, of], "batch_size": batch_size}
    return statistics(seed, corpus=corpus)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ((1, 2), (1, 2), "share tokens"),
        ((1, 2), (3, 4), "share tokens"),
        ((1, 1), (2, 5), "share tokens"),
        ((1, 2), (2, 4), None),
        ((1, 2, 4), (2, 2, 8), "batches of 4 and of 8"),
    ],
)
def test_tokens_count_once(a: tuple[int, ...], b: tuple[int, ...], message: str | None) -> None:
    refused = pytest.raises(StatisticsError, match=message) if message else nullcontext()
    with refused:
        shard(1, *a).merge(shard(2, *b))


def test_a_damaged_sample_is_not_added_up() -> None:
    sample = statistics(2).samples["de"]
    sample.values["mlp.act"][3, 0, 1] = np.nan
    with pytest.raises(StatisticsError, match="de: a sampled value is not a finite number"):
        ONE.merge(replace(OTHER, samples={**OTHER.samples, "de": sample}))


def counts(seed: int, tokens: int = 1000, language: str = "de", **corpus: Any) -> ActivationStats:
    """Counts as they are imported, or recorded of a corpus."""
    drawn = np.random.default_rng(seed).integers(0, tokens, size=(1, LAYERS, WIDTH))
    provenance = {"corpora": {language: [{"source": "x", "tokens": tokens, **corpus}]}}
    return ActivationStats.from_counts(drawn, [tokens], [language], provenance=provenance)


def test_one_imported_file_counts_once() -> None:
    once = counts(1)
    for again in (counts(1), counts(1, language="fr"), replace(once, provenance={})):
        with pytest.raises(StatisticsError, match="the same numbers of the same 1,000 tokens"):
            once.merge(again)
    assert once.merge(counts(2)).tokens == {"de": 2000}
    assert once.merge(counts(2, language="fr")).tokens == {"de": 1000, "fr": 1000}
    silent = ActivationStats.from_counts(np.zeros((1, LAYERS, WIDTH), int), [9], ["de"])
    assert silent.merge(silent).tokens == {"de": 18}, "neurons that never fire tell nothing"


def documents(*numbers: int) -> list[int]:
    sketch = DocumentSketch()
    for number in range(*numbers):
        sketch.add(str(number).encode())
    return sketch.hashes


WHOLE = {"texts_sha256": "w", "first_row_sha256": "1", "document_sketch": documents(1000)}


@pytest.mark.parametrize(
    "other",
    [
        {"first_row_sha256": "1"},  # another --tokens, however many times as many
        {"first_row_sha256": "1", "shard": [2, 2]},
        {"first_row_sha256": "2", "document_sketch": documents(500, 1000)},
        {"first_row_sha256": None, "document_sketch": documents(600, 1400)},
    ],
)
def test_texts_that_overlap_count_once(other: dict[str, Any]) -> None:
    entry = {"shard": [1, 2] if "shard" in other else [1, 1], **WHOLE}
    with pytest.raises(StatisticsError, match="de: .* cut from the same texts and share tokens"):
        counts(1, **entry).merge(counts(2, 2000, texts_sha256="p", **other))


def test_texts_that_share_a_few_documents_are_added_up() -> None:
    other = {"texts_sha256": "p", "first_row_sha256": "2"}
    a, b = counts(1, **WHOLE), counts(2, **other, document_sketch=documents(900, 1900))
    assert a.merge(b).tokens == {"de": 2000}
    half = other | {"document_sketch": documents(500, 1500)}
    assert a.merge(counts(2, language="fr", **half)).tokens == {"de": 1000, "fr": 1000}
    for same in (other | {"document_sketch": documents(500)}, {"texts_sha256": "w"}):
        with pytest.raises(StatisticsError, match="fr and de were recorded from the same texts"):
            a.merge(counts(2, language="fr", **same))
