"""Quantiles from a sample of tokens that shards can add up, whatever their order.

Every token has a key, a hash of its place in its corpus; the sample is the tokens with the
smallest keys ("bottom-k sampling", Cohen and Kaplan 2007). It is a uniform sample without
replacement, so the error is the same however values are distributed and however they drift over
the corpus; and the sample of a union is the smallest keys of the parts' samples, so shards merge
to the sample of one run, bit for bit. A corpus of fewer tokens than the sample has exact
quantiles.

Values are kept as float16 (relative rounding 5e-4, far below the sampling error; values beyond
65504 are cut there).
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsn_eval.errors import StatisticsError
from lsn_eval.masks.names import quantile_share
from lsn_eval.storage.mapped_arrays import mapped_array
from lsn_eval.storage.whole_files import full_disk_reported

QUANTILES = ("p10", "median", "p90")
"""Quantiles that are always kept; further ones, p1 to p99, are where they are asked for."""

SAMPLE_TOKENS = 4096
"""Tokens in a sample, at most: the mean rank error is then about .004 at P10 and P90."""

SAMPLE_BYTES = 2 << 30
"""Bytes of a language's sample, at most: 3,048 tokens for a 7B model (32 x 11008 neurons)."""

SCRATCH_BYTES = 256 << 20
"""An array beyond this size lies in a temporary file instead of in memory."""

FLOAT16_MAX = float(np.finfo(np.float16).max)


def sample_size(neurons: int, tokens: int = SAMPLE_TOKENS, limit: int = SAMPLE_BYTES) -> int:
    """Tokens to sample for a model of so many neurons: `tokens`, or what fits into `limit`."""
    return max(1, min(tokens, limit // (2 * neurons)))


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele et al. 2014): a bijection that scatters its input."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def corpus_salt(language: str, first_row: ArrayLike) -> int:
    """A number that tells corpora apart, from what all their shards share: the first row."""
    sha = hashlib.sha256(language.encode() + b"\0")
    sha.update(np.asarray(first_row).astype("<i8").tobytes())
    return int.from_bytes(sha.digest()[:8], "little")


def token_keys(salt: int, rows: ArrayLike, positions: ArrayLike) -> NDArray[np.uint64]:
    """Keys [token] of the tokens at `positions` of the corpus's `rows`."""
    row_keys = _mixed(np.asarray(rows, np.uint64) + np.uint64(salt))
    golden = np.uint64(0x9E3779B97F4A7C15)
    return _mixed(row_keys + (np.asarray(positions, np.uint64) + np.uint64(1)) * golden)


@dataclass(frozen=True, eq=False)
class TokenSample:
    """The tokens with the smallest keys, and every neuron's value at them."""

    size: int
    """Tokens that the sample could hold; it has fewer only if the corpus has."""
    keys: NDArray[np.uint64]
    """Keys [token], ascending."""
    values: Mapping[str, NDArray[np.float16]]
    """Values [token, layer, neuron] by hookpoint; NaN at experts that a token did not reach."""

    def quantiles(
        self, hookpoint: str, names: Collection[str] = QUANTILES
    ) -> dict[str, NDArray[np.float32]]:
        """Each of the quantiles [layer, neuron]."""
        values = self.values[hookpoint]
        reached = (values[:, layer] for layer in range(values.shape[1]))
        layers = [quantiles_of(of[~np.isnan(of[:, 0])], names) for of in reached]
        return {name: np.stack([layer[name] for layer in layers]) for name in names}

    @staticmethod
    def merged(parts: Sequence[TokenSample]) -> TokenSample:
        """The sample of the union of the parts' tokens.

        Raises:
            ValueError: a token is in two parts.
        """
        size = min(part.size for part in parts)
        keys = np.concatenate([part.keys for part in parts])
        if np.unique(keys).size != keys.size:
            raise ValueError("the same token is in two samples")
        chosen = np.argsort(keys)[:size]
        # A gather per part, in the order of the part's rows: the parts may be memory-mapped.
        ends = np.cumsum([part.keys.size for part in parts])
        values = {}
        for hookpoint, first in parts[0].values.items():
            merged = scratch_array((chosen.size, *first.shape[1:]), np.float16)
            for part, end in zip(parts, ends, strict=True):
                start = end - part.keys.size
                for target in np.flatnonzero((chosen >= start) & (chosen < end)):
                    merged[target] = part.values[hookpoint][chosen[target] - start]
            values[hookpoint] = merged
        return TokenSample(size, keys[chosen], values)


def quantiles_of(
    values: NDArray[np.float16], names: Collection[str] = QUANTILES, chunk: int = 1024
) -> dict[str, NDArray[np.float32]]:
    """Each of the quantiles of every column of `values` [token, neuron], linearly interpolated."""
    tokens, neurons = values.shape
    found = {name: np.full(neurons, np.nan, np.float32) for name in names}
    if not tokens:
        return found
    places = {name: (quantile_share(name) or 0) * (tokens - 1) for name in names}
    for start in range(0, neurons, chunk):
        columns = np.ascontiguousarray(values[:, start : start + chunk].T, dtype=np.float32)
        columns.sort(axis=1)  # in vector instructions, and so faster than a partition
        for name, place in places.items():
            low, high = columns[:, math.floor(place)], columns[:, math.ceil(place)]
            found[name][start : start + chunk] = low + (high - low) * np.float32(place % 1)
    return found


def scratch_array(shape: tuple[int, ...], dtype: type, folder: Path | None = None) -> NDArray[Any]:
    """An array of zeros: in memory, or in an unnamed temporary file where it is large."""
    if math.prod(shape) * np.dtype(dtype).itemsize <= SCRATCH_BYTES:
        return np.zeros(shape, dtype)
    place = Path(folder or tempfile.gettempdir())
    with full_disk_reported(place, StatisticsError), tempfile.TemporaryFile(dir=place) as file:
        return mapped_array(file, dtype, shape)


class SampleBuilder:
    """Decides, before a batch runs, which of its tokens enter the sample and where they go.

    `keys` [size] holds the key in each slot, the largest possible key in an empty one.
    """

    EMPTY = np.iinfo(np.uint64).max

    def __init__(self, size: int, keys: NDArray[np.uint64] | None = None) -> None:
        self.size = size
        self.keys = np.full(size, self.EMPTY, np.uint64) if keys is None else keys.copy()

    def choose(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Tokens of the batch to keep, and their slots; what was in a slot is given up."""
        candidates = np.flatnonzero(keys < self.keys.max())
        if not candidates.size:
            return candidates, candidates
        pool = np.concatenate([self.keys, keys[candidates]])
        # Stable, so that the choice is the same whenever a batch is run again.
        kept = np.argsort(pool, kind="stable")[: self.size]
        slots = np.setdiff1d(np.arange(self.size), kept)
        tokens = candidates[np.sort(kept[kept >= self.size]) - self.size]
        slots = slots[: tokens.size]
        self.keys[slots] = keys[tokens]
        return tokens, slots

    def order(self) -> NDArray[np.int64]:
        """Filled slots by ascending key."""
        filled = int((self.keys != self.EMPTY).sum())
        return np.argsort(self.keys, kind="stable")[:filled]
