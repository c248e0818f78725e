"""`SampleColumns`: the samples of a task by column, of which many fit into memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsn_eval.results.rows import ResultsError, Row
from lsn_eval.results.samples import Document, Sample, read_samples


@dataclass(frozen=True)
class SampleColumns:
    """The samples of one task under one filter, in the order of the documents."""

    documents: tuple[Document, ...]
    responses: tuple[int, ...]
    """A hash of what the model gave to each document."""
    values: Mapping[str, Sequence[Any]]
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
        return self._files[place]

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
                tuple(sample.responses for sample in filtered),
                {metric: [s.values.get(metric) for s in filtered] for metric in metrics},
            )
        return columns
