"""`StatisticsContent`: what activation statistics say, as plain as it stands in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.masks.names import quantile_share
from lsn_eval.models.hookpoints import HOOKPOINTS
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics.quantiles import TokenSample

_DTYPES: Mapping[str, type] = {
    "positive": np.int64,
    "mean": np.float64,
    "variance": np.float64,
    "max": np.float32,
    "above_threshold": np.int64,
}
STATISTICS = ("positive", "mean", "variance", "max", "p1 to p99", "median", "above_threshold")
"""What can be recorded. `positive` counts how often a neuron was above 0, and `above_threshold` how
often above its own threshold (`recording.count_above_thresholds`)."""


def statistic_dtype(name: str) -> type | None:
    """The precision of a statistic; None where there is none of this name."""
    return np.float32 if quantile_share(name) is not None else _DTYPES.get(name)


@dataclass(frozen=True, eq=False)
class TextResponses:
    """Each text's mean response per neuron (recorded with `--per-text`).

    `index` [text] is a text's number in its language's corpus, so that shards can be put back in
    the order of one run.
    """

    languages: NDArray[np.str_]
    index: NDArray[np.int64]
    read: Callable[[str, str], NDArray[np.float16]]
    """Responses [text, neuron] of a hookpoint and a layer, read when asked for."""

    def of(self, languages: Sequence[str]) -> TextResponses:
        """The texts of some languages alone."""
        rows = np.flatnonzero(np.isin(self.languages, list(languages)))
        return TextResponses(
            self.languages[rows],
            self.index[rows],
            lambda hookpoint, layer: self.read(hookpoint, layer)[rows],
        )


@dataclass(frozen=True, eq=False)
class StatisticsContent:
    """Statistics per language, hookpoint, layer and neuron, unchecked: `ActivationStats` is this,
    checked."""

    model: ModelLayout
    languages: tuple[str, ...]
    tokens: Mapping[str, int]
    """Tokens counted, per language."""
    arrays: Mapping[str, Mapping[str, NDArray[Any]]]
    """`arrays[hookpoint][statistic]` [language, layer, neuron]; each may be absent."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Corpora, precision, settings, package versions, command; JSON-serialisable."""
    samples: Mapping[str, TokenSample] = field(default_factory=dict)
    """Per language, the sample of tokens that quantiles come from: what merging them needs."""
    texts: TextResponses | None = None
    layer_tokens: NDArray[np.int64] | None = None
    """Tokens [language, layer] that reached each layer, where some are experts; None where all
    layers saw all tokens."""

    def tokens_at_layers(self) -> NDArray[np.int64]:
        """Tokens [language, layer] that the statistics of each layer are over."""
        if self.layer_tokens is not None:
            return self.layer_tokens
        each = [self.tokens[language] for language in self.languages]
        return np.repeat(np.array(each, np.int64)[:, None], len(self.model.layers), axis=1)

    @property
    def hookpoints(self) -> tuple[str, ...]:
        return tuple(hookpoint for hookpoint in HOOKPOINTS if hookpoint in self.arrays)

    def names(self, hookpoint: str) -> tuple[str, ...]:
        """Statistics there are of `hookpoint`."""
        there = self.arrays[hookpoint]
        quantiles = [name for name in there if quantile_share(name) is not None]
        quantiles.sort(key=lambda name: quantile_share(name) or 0)
        *first, last = _DTYPES
        return tuple(name for name in (*first, *quantiles, last) if name in there)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over tokens and arrays, not over provenance, samples and single texts."""
        sha = hashlib.sha256()
        for language in self.languages:
            sha.update(f"{language} {self.tokens[language]}\n".encode())
        if self.layer_tokens is not None:
            sha.update(self.layer_tokens.astype("<i8").tobytes())
        for hookpoint in self.hookpoints:
            for name in self.names(hookpoint):
                array = self.arrays[hookpoint][name]
                sha.update(f"{hookpoint}/{name} {array.dtype.str} {list(array.shape)}\n".encode())
                for by_layer in array:
                    sha.update(by_layer.astype(array.dtype.newbyteorder("<")).tobytes())
        return sha.hexdigest()
