"""The token sample: error, mergeability, bit-exactness whatever the order."""

from __future__ import annotations

import numpy as np
import pytest

from lsn_eval.masks.names import quantile_share
from lsn_eval.statistics.quantiles import (
    QUANTILES,
    SampleBuilder,
    TokenSample,
    corpus_salt,
    quantiles_of,
    sample_size,
    scratch_array,
    token_keys,
)

TOKENS, NEURONS, SIZE = 60_000, 8, 2048


def silu(values):
    return values / (1 + np.exp(-values))


def stream(kind: str) -> np.ndarray:
    generator = np.random.default_rng(3)
    normal = generator.normal(size=(TOKENS, NEURONS))
    return {
        "skewed": lambda: silu(2 * normal - 1),
        "drifting": lambda: silu(normal + np.linspace(-3, 3, TOKENS)[:, None]),
        "sorted": lambda: np.sort(normal, axis=0),
        "heavy-tailed": lambda: generator.standard_cauchy(normal.shape),
    }[kind]()


def sample_of(values: np.ndarray, size: int = SIZE, batch: int = 1000, only=None) -> TokenSample:
    """The sample of a stream cut into rows of `batch`; `only` says which rows are recorded."""
    builder = SampleBuilder(size)
    kept = np.zeros((size, 1, values.shape[1]), np.float16)
    for row in range(-(-len(values) // batch)):
        if only is not None and not only(row):
            continue
        block = values[row * batch : (row + 1) * batch]
        keys = token_keys(5, np.full(len(block), row), np.arange(len(block)))
        chosen, slots = builder.choose(keys)
        kept[slots, 0] = np.clip(block[chosen], -65504, 65504)
    order = builder.order()
    return TokenSample(size, builder.keys[order], {"mlp.act": kept[order]})


@pytest.mark.parametrize("kind", ["skewed", "drifting", "sorted", "heavy-tailed"])
def test_rank_error_is_that_of_a_uniform_sample(kind: str) -> None:
    values = stream(kind)
    found = sample_of(values).quantiles("mlp.act")
    for name in QUANTILES:
        share = quantile_share(name)
        ranks = (values <= found[name][0]).mean(0)
        # Four standard errors of a share among 2,048.
        assert np.abs(ranks - share).max() < 4 * np.sqrt(share * (1 - share) / SIZE)


def test_the_sample_is_the_tokens_with_the_smallest_keys() -> None:
    values = np.arange(5000.0)[:, None] % 2048  # exact in float16
    sample = sample_of(values, size=300, batch=700)
    keys = token_keys(5, *np.divmod(np.arange(5000), 700))
    smallest = np.argsort(keys)[:300]
    np.testing.assert_array_equal(sample.keys, keys[smallest])
    np.testing.assert_array_equal(sample.values["mlp.act"][:, 0, 0], values[smallest, 0])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_shards_merge_to_the_sample_of_one_run(order: tuple[int, ...]) -> None:
    values = stream("skewed")[:20_000]
    whole = sample_of(values, size=500)
    shards = [sample_of(values, size=500, only=lambda row, k=k: row % 3 == k) for k in order]
    merged = TokenSample.merged(shards)
    np.testing.assert_array_equal(merged.keys, whole.keys)
    np.testing.assert_array_equal(merged.values["mlp.act"], whole.values["mlp.act"])
    for name, values in merged.quantiles("mlp.act").items():
        np.testing.assert_array_equal(values, whole.quantiles("mlp.act")[name])


def test_samples_of_two_sizes_merge_to_the_smaller_and_a_token_counts_once() -> None:
    values = stream("skewed")[:9000]
    large = sample_of(values, size=400, only=lambda row: row % 2)
    small = sample_of(values, size=100, only=lambda row: not row % 2)
    merged = TokenSample.merged([large, small])
    np.testing.assert_array_equal(merged.keys, sample_of(values, size=100).keys)
    with pytest.raises(ValueError, match="same token"):
        TokenSample.merged([small, small])


@pytest.mark.parametrize("tokens", [0, 1, 2, 3, 10])
def test_quantiles_of_few_tokens(tokens: int) -> None:
    values = np.random.default_rng(1).normal(size=(tokens, 3)).astype(np.float16)
    for name, found in quantiles_of(values, (*QUANTILES, "p1", "p25", "p99"), chunk=2).items():
        if tokens:
            expected = np.quantile(values.astype(np.float64), quantile_share(name), axis=0)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        else:
            assert np.isnan(found).all()


def test_the_order_of_zeros_does_not_show() -> None:
    values = np.array([[-0.0], [0.0], [-0.0], [0.0]], np.float16)
    found = [quantiles_of(np.roll(values, shift, 0)) for shift in range(2)]
    for name in QUANTILES:
        assert found[0][name].tobytes() == found[1][name].tobytes()


def test_keys_are_scattered_and_reproducible() -> None:
    keys = token_keys(7, np.repeat(np.arange(100), 100), np.tile(np.arange(100), 100))
    assert np.unique(keys).size == keys.size
    assert abs((keys < 2**63).mean() - 0.5) < 0.02
    assert int(token_keys(7, [3], [4])[0]) == 14639039238165365768
    assert corpus_salt("de", [1, 2]) != corpus_salt("fr", [1, 2])


def test_size_is_bounded_by_bytes() -> None:
    assert sample_size(2 * 1376) == 4096
    assert sample_size(32 * 11008) == 3048
    assert sample_size(10**12) == 1


def test_large_arrays_leave_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsn_eval.statistics.quantiles.SCRATCH_BYTES", 64)
    assert not isinstance(scratch_array((4, 8), np.float16), np.memmap)
    large = scratch_array((4, 9), np.float16)
    assert isinstance(large, np.memmap)
    assert not large.any()
