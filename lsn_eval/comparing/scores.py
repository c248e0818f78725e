"""A metric's documents as columns of numbers whose sums give the metric.

Which statistic of those sums the metric is, the samples do not say: it is the one that gives the
value in the results file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lsn_eval.comparing.kinds import (
    BITS,
    MEAN,
    MEAN_PERPLEXITY,
    PERPLEXITY,
    RATIO,
    Kind,
    Numbers,
    Scale,
)
from lsn_eval.results.samples import Document, Sample

REPRODUCED = 1e-6
"""Relative difference allowed between a value worked out from samples and the results file's."""


@dataclass(frozen=True)
class Scores:
    """One metric of one task under one condition, document by document."""

    kind: Kind
    documents: tuple[Document, ...]
    """All that were evaluated."""
    columns: Numbers
    """[document, column]; zeros where the metric leaves a document out (None)."""
    responses: tuple[int, ...]
    """A hash of what the model gave to each document."""

    @property
    def value(self) -> float:
        """The metric over all documents."""
        return self.kind.value(self.columns.sum(axis=0))


def scores(
    samples: Sequence[Sample],
    metric: str,
    filter_name: str,
    value: float,
    scale: Scale,
    like: Kind | None = None,
) -> Scores | None:
    """The scores that give `value`; None where no known statistic does.

    A document that a metric leaves out (None, or no such key) is in no sum; it is still drawn, so
    that documents stay paired where the other condition has a number for it.

    Args:
        samples: of one task.
        metric: as lm-eval names it.
        filter_name: of lm-eval.
        value: of the results file.
        scale: to take changes on.
        like: of several statistics that give `value`, the one of the baseline.
    """
    chosen = [sample for sample in samples if sample.filter == filter_name]
    documents = tuple(sample.document for sample in chosen)
    there = [sample.values.get(metric) is not None for sample in chosen]
    items = [sample.values[metric] for sample, kept in zip(chosen, there, strict=True) if kept]
    if not items or len({document[0] for document in documents}) < len(documents):
        return None
    first = None
    for kind, columns in _readings(items, metric):
        if columns.shape[0] != len(items) or not np.isfinite(columns).all():
            continue
        if not math.isclose(
            kind.value(columns.sum(axis=0)), value, rel_tol=REPRODUCED, abs_tol=1e-9
        ):
            continue
        everywhere = np.zeros((len(documents), columns.shape[1]))
        everywhere[there] = columns
        responses = tuple(sample.responses for sample in chosen)
        found = Scores(kind.on(scale), documents, everywhere, responses)
        if like is None or like.name == kind.name:
            return found
        first = first or found
    return first


def _readings(items: list[Any], metric: str) -> Iterator[tuple[Kind, Numbers]]:
    """What the items could be the parts of."""
    if all(_is_number(item) for item in items):
        numbers = np.asarray(items, dtype=np.float64)
        ones = np.ones_like(numbers)
        yield MEAN, np.stack([numbers, ones], axis=1)
        yield MEAN_PERPLEXITY, np.stack([-numbers, ones], axis=1)
    elif all(_is_pair(item) for item in items):
        pairs = np.asarray(items, dtype=np.float64)
        negative = pairs * np.array([-1.0, 1.0])
        yield PERPLEXITY, negative
        yield RATIO, pairs
        yield BITS, negative
    elif all(_is_texts(item) for item in items):
        from lsn_eval.comparing.corpus_scores import readings

        yield from readings(items, metric)


def _is_number(item: Any) -> bool:
    return isinstance(item, bool | int | float)


def _is_pair(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2 and all(map(_is_number, item))


def _is_texts(item: Any) -> bool:
    return (
        isinstance(item, list | tuple)
        and len(item) in (2, 3)
        and all(isinstance(part, str | list) for part in item)
    )
