"""How alike the embeddings of translations are, and whose space they can be moved into.

Of sentence i in languages a and b, with embeddings h_a(i), h_b(i) and their means m_a, m_b over all
sentences:

    similarity of a and b   mean over i of cos(h_a(i), h_b(i))
    dominance of b over a   mean over i of cos(h_a(i) - m_a + m_b, h_b(i))

Tang et al. (2024, arXiv 2402.16438), sentence embedding similarity (SES) and language dominance: a
language dominates another as far as a shift by the means turns the other's embeddings into its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
ALL = "all"
"""The mean over all pairs of languages."""


@dataclass(frozen=True)
class Quantity:
    """Numbers that are means over sentences, with those of sentences that are no translations."""

    name: str
    cells: list[tuple[str, str]]
    values: Numbers
    """[sentence, cell]"""
    controls: Numbers
    """[sentence, cell]"""


def similarity(embeddings: Mapping[str, Numbers]) -> Quantity:
    """Of every pair of languages, and of all; symmetric, so that each pair stands there once."""
    pairs = list(combinations(embeddings, 2))
    values, controls = _columns(_cosines(embeddings[a], embeddings[b]) for a, b in pairs)
    values, controls = (np.column_stack([x, x.mean(1)]) for x in (values, controls))
    return Quantity("similarity", [*pairs, (ALL, ALL)], values, controls)


def dominance(embeddings: Mapping[str, Numbers]) -> Quantity:
    """Of the second language of each ordered pair over the first."""
    means = {language: of.mean(0) for language, of in embeddings.items()}
    pairs = list(permutations(embeddings, 2))
    values, controls = _columns(
        _cosines(embeddings[a] - means[a] + means[b], embeddings[b]) for a, b in pairs
    )
    return Quantity("dominance", pairs, values, controls)


def _columns(each: Iterable[tuple[Numbers, Numbers]]) -> tuple[Numbers, Numbers]:
    values, controls = zip(*each, strict=True)
    return np.column_stack(values), np.column_stack(controls)


def _cosines(one: Numbers, other: Numbers) -> tuple[Numbers, Numbers]:
    """[sentence] of each with its translation, and on average with all other sentences: what
    shuffling the pairs gives in the mean over every shuffle."""
    one, other = (
        x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30) for x in (one, other)
    )
    own = (one * other).sum(1)
    either = (one @ other.sum(0) + other @ one.sum(0)) / 2
    return own, (either - own) / (len(own) - 1)
