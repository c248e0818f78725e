"""A metric's documents as columns of numbers whose sums give the metric.

Which statistic of those sums the metric is, the samples do not say: it is the one that gives the
value in the results file.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.comparing import kinds
from lsn_eval.comparing.answer_languages import in_target
from lsn_eval.comparing.kinds import Kind, Numbers
from lsn_eval.results.languages import target_of
from lsn_eval.results.rows import ResultsError, Row
from lsn_eval.results.samples import Document, Sample, read_samples
from lsn_eval.results.scale import Scale
from lsn_eval.wording.lists import counted

Hashes = NDArray[np.int64]
REPRODUCED = 1e-6
"""Relative difference allowed between a value worked out from samples and the results file's."""


@dataclass(frozen=True)
class SampleColumns:
    """The samples of one task under one filter, in the order of the documents."""

    documents: tuple[Document, ...]
    responses: Hashes
    """A hash of what the model gave to each document."""
    values: Mapping[str, Sequence[Any] | Numbers]
    """By metric; None where it leaves a document out."""


class SampleReader:
    """Reads each samples file once for all panels of a model and family of tasks."""

    def __init__(self) -> None:
        self._place: tuple[str, str] | None = None
        self._files: dict[tuple[object, str], dict[str, SampleColumns] | str] = {}
        self._documents: dict[tuple[Document, ...], tuple[Document, ...]] = {}

    def columns(self, row: Row) -> dict[str, SampleColumns] | str:
        """By filter; a text says why the samples cannot be read; nothing where none were logged."""
        if self._place != (row.model, row.family):  # the samples of other tasks are not needed
            self._place = row.model, row.family
            self._files.clear()
            self._documents.clear()
        place = row.file, row.task
        if place not in self._files:
            try:
                self._files[place] = self._by_filter(read_samples(*place))
            except ResultsError as error:
                self._files[place] = f"no test: {error}"
        found = self._files[place]
        target = target_of(row.metric)
        logged = found.get(row.filter) if target and isinstance(found, dict) else None
        if target is None or logged is None or row.metric in logged.values:
            return found
        answers = in_target(row, target)
        there = len(answers) == len(logged.documents)
        return {row.filter: replace(logged, values={row.metric: answers} if there else {})}

    def _by_filter(self, samples: Sequence[Sample]) -> dict[str, SampleColumns]:
        filters: dict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            filters[sample.filter].append(sample)
        columns = {}
        for name, filtered in filters.items():
            documents = tuple(sample.document for sample in filtered)
            metrics = dict.fromkeys(metric for sample in filtered for metric in sample.values)
            columns[name] = SampleColumns(
                # Conditions were mostly evaluated on the same documents.
                self._documents.setdefault(documents, documents),
                np.array([sample.responses for sample in filtered], dtype=np.int64),
                # Objects would take some twenty times the memory.
                {metric: _numbers([s.values.get(metric) for s in filtered]) for metric in metrics},
            )
        return columns


@dataclass(frozen=True)
class Scores:
    """One metric of one task under one condition, document by document."""

    kind: Kind
    documents: tuple[Document, ...]
    """All that were evaluated."""
    columns: Numbers
    """[document, column]; zeros where the metric leaves a document out (None)."""
    responses: Hashes
    """A hash of what the model gave to each document."""

    @property
    def value(self) -> float:
        """The metric over all documents."""
        return self.kind.value(self.columns.sum(axis=0))


@dataclass(frozen=True)
class NoScores:
    """Why samples cannot be tested with."""

    reason: str
    unlike_value: bool = False
    """Whether they are whole, and no known statistic of them gives the value of the file."""


def scores(
    logged: SampleColumns | None, row: Row, scale: Scale, like: Kind | None = None
) -> Scores | NoScores:
    """The scores that give the row's value.

    A document that a metric leaves out (None, or no such key) is in no sum; it is still drawn, so
    that documents stay paired where the other condition has a number for it.

    Args:
        logged: of the row's task and filter.
        row: whose metric and value are meant.
        scale: to take changes on.
        like: of several statistics that give the value, the one of the baseline.
    """
    values = logged.values.get(row.metric, ()) if logged else ()
    whole = isinstance(values, np.ndarray)
    given = np.array([whole or value is not None for value in values], dtype=bool)
    if logged is None or not given.any():
        return NoScores(f"no test: {row.name} was not logged document by document")
    count = len(logged.documents)
    if row.documents is not None and count != row.documents:
        return NoScores(
            f"no test: samples of {counted(count, 'document')} were logged, and "
            f"{row.documents:,} were evaluated"
        )
    if len({document[0] for document in logged.documents}) < count:
        return NoScores("no test: a document was logged twice")
    chosen = None
    items = values if whole else _numbers([value for value in values if value is not None])
    for kind, columns in _readings(items, row.metric):
        value = kind.value(columns.sum(axis=0)) if np.isfinite(columns).all() else math.nan
        if math.isclose(value, row.value, rel_tol=REPRODUCED, abs_tol=1e-9):
            alike = like is None or like.name == kind.name
            chosen = (kind, columns) if alike else chosen or (kind, columns)
            if alike:
                break
    if chosen is None:
        reason = f"no test: the samples do not give the value of {row.name} in the results file"
        return NoScores(reason, unlike_value=True)
    kind, columns = chosen
    everywhere = np.zeros((count, columns.shape[1]))
    everywhere[given] = columns
    return Scores(kind.on(scale), logged.documents, everywhere, logged.responses)


def _readings(items: Sequence[Any] | Numbers, metric: str) -> Iterator[tuple[Kind, Numbers]]:
    """What the items could be the parts of."""
    if isinstance(items, np.ndarray) and items.ndim == 1:
        ones = np.ones_like(items)
        yield kinds.MEAN, np.stack([items, ones], axis=1)
        yield kinds.MEAN_PERPLEXITY, np.stack([-items, ones], axis=1)
    elif isinstance(items, np.ndarray):
        negative = items * np.array([-1.0, 1.0])
        yield kinds.PERPLEXITY, negative
        yield kinds.RATIO, items
        yield kinds.BITS, negative
    elif all(
        isinstance(item, list | tuple) and len(item) in (2, 3) and _all_are(item, str, list)
        for item in items
    ):
        from lsn_eval.comparing.corpus_scores import readings

        yield from readings(items, metric)


def _numbers(items: Sequence[Any]) -> Sequence[Any] | Numbers:
    """[document] numbers or [document, part] pairs of them; anything else as it is."""
    pairs = _all_are(items, list, tuple) and set(map(len, items)) == {2}
    if _all_are(chain.from_iterable(items) if pairs else items, bool, int, float):
        return np.asarray(items, dtype=np.float64)
    return items


def _all_are(items: Iterable[Any], *types: type) -> bool:
    return all(issubclass(kind, types) for kind in set(map(type, items)))
