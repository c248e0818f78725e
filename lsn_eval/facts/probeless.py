"""PROBELESS: neurons ranked by how far a label's mean activation is from the others' (Antverg and
Belinkov, ICLR 2022, section 3.2; per fact as Zhao et al. 2024 use it).

    score(z) = 1 / (Z - 1) * sum over z' != z of |q(z) - q(z')|

q(z) is the mean activation [neuron] of label z, and Z the number of labels. No probe is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

_NEURONS_AT_ONCE = 4096


def scores(means: NDArray[np.floating]) -> NDArray[np.float64]:
    """Every label's score of every neuron [label, neuron], of mean activations [label, neuron].

    In double precision. The sum over all labels comes from sorted values and their running sums: Z
    log Z steps a neuron in place of Z squared.

    Raises:
        ValueError: there are fewer than two labels, which nothing tells apart.
    """
    labels, neurons = means.shape
    if labels < 2:
        raise ValueError("PROBELESS compares labels: two at least were expected")
    result = np.empty((labels, neurons))
    below = np.arange(labels)[:, None]
    for start in range(0, neurons, _NEURONS_AT_ONCE):
        values = means[:, start : start + _NEURONS_AT_ONCE].astype(np.float64)
        order = values.argsort(0, kind="stable")
        ranked = np.take_along_axis(values, order, 0)
        until = ranked.cumsum(0)
        distances = ranked * (2 * below - labels + 2) + until[-1] - 2 * until
        part = result[:, start : start + _NEURONS_AT_ONCE]
        np.put_along_axis(part, order, np.maximum(distances, 0) / (labels - 1), 0)
    return result


def ranking(score: NDArray[np.floating], most: int | None = None) -> NDArray[np.int64]:
    """Neurons, the highest score first, of equal ones the one with the lower number."""
    return np.argsort(-score, kind="stable")[:most]


def mean_jaccard(
    tops: Mapping[str, Mapping[str, NDArray[np.int64]]],
) -> dict[tuple[str, str], tuple[float | None, int]]:
    """Of every two languages the mean Jaccard similarity of their top neurons, over the facts that
    both have, and the number of these; None without any.

    Args:
        tops: the neurons that count, by language and fact.
    """
    found: dict[tuple[str, str], tuple[float | None, int]] = {}
    for (one, first), (other, second) in combinations(tops.items(), 2):
        pairs = [({*first[fact]}, {*second[fact]}) for fact in first.keys() & second.keys()]
        shares = [len(a & b) / len(a | b) for a, b in pairs]
        found[one, other] = (float(np.mean(shares)) if shares else None), len(shares)
    return found
