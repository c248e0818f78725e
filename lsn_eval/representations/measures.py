"""`LayerMeasures`: the numbers by layer, and their file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import LsnError
from lsn_eval.storage.outside_files import Fields, read_json
from lsn_eval.storage.whole_files import whole_file

FORMAT = 1
QUANTITIES = ("similarity", "dominance", "lens")
_NAMES = ("condition", "quantity", "layer", "row", "column")
_NUMBERS = ("value", "low", "high", "control", "above_low", "above_high")
_CHANGE = ("change", "change_low", "change_high")


@dataclass(frozen=True)
class LayerMeasures:
    """Numbers of every layer under one or several conditions, one record each.

    A record has `condition`, `quantity`, `layer`, `row` and `column` (languages), `value` with its
    interval `low` and `high`, the same number without what is measured (`control`), the interval of
    the difference of both (`above_low`, `above_high`), and beside a first `none` the change from it
    with an interval.
    """

    layers: tuple[str, ...]
    languages: tuple[str, ...]
    records: Sequence[Mapping[str, Any]]
    about: Mapping[str, Any]
    """The model, texts, settings, notes; the `lsn` record of every condition in `conditions`."""

    @property
    def conditions(self) -> tuple[str, ...]:
        return tuple(self.about["conditions"])

    def signature(self, condition: str) -> str:
        """What the numbers of a condition were measured with."""
        return str(self.about["conditions"][condition]["signature"])

    def of(self, quantity: str, condition: str) -> Iterator[Mapping[str, Any]]:
        """The records of one quantity under one condition."""
        return (
            record
            for record in self.records
            if record["quantity"] == quantity and record["condition"] == condition
        )

    def matrix(self, quantity: str, condition: str) -> NDArray[np.float64]:
        """Values [layer, row, column] of a quantity; NaN where there is none.

        Raises:
            LsnError: it was not measured.
        """
        shape = len(self.layers), len(self.languages), len(self.languages)
        values = np.full(shape, np.nan)
        for record in self.of(quantity, condition):
            row, column = (
                self.languages.index(record["row"]),
                self.languages.index(record["column"]),
            )
            values[self.layers.index(record["layer"]), row, column] = record["value"]
        if np.isnan(values).all():
            raise LsnError(f"the file has no {quantity} under {condition}")
        return values

    def dominance_degrees(self, condition: str) -> dict[str, list[float]]:
        """[layer] of each language: the mean over the languages that are mapped onto it."""
        means = np.nanmean(self.matrix("dominance", condition), axis=1)
        return {name: means[:, n].tolist() for n, name in enumerate(self.languages)}

    def save(self, path: str | os.PathLike[str]) -> None:
        """As JSON."""
        document = {
            "format": FORMAT, "layers": self.layers, "languages": self.languages,
            **self.about, "records": self.records,
        }  # fmt: skip
        with whole_file(path, LsnError) as file:
            file.write(json.dumps(document, ensure_ascii=False, indent=0).encode())

    @staticmethod
    def load(path: str | os.PathLike[str]) -> LayerMeasures:
        """A file of `lsn-eval layers`.

        Raises:
            LsnError: it is none.
        """
        where = os.fspath(path)
        document = Fields(read_json(path, LsnError), where, LsnError)
        if document.whole("format") != FORMAT:
            raise LsnError(f"{where} has another format than {FORMAT}; is it of a later version?")
        layers, languages = document.texts("layers"), document.texts("languages")
        document.text("model"), document.texts("notes")
        conditions = document.fields("conditions")
        for condition in conditions:
            conditions.fields(condition).text("signature")
        records = document.objects("records")
        for record in records:
            given = [record.text(name) for name in _NAMES]
            there = (conditions.value, QUANTITIES, layers, [*languages, "all"], [*languages, "all"])
            for name, value, known in zip(_NAMES, given, there, strict=True):
                if value not in known:
                    raise LsnError(f"{record.where}: {name} is {value!r}, which is not in the file")
            for name in (*_NUMBERS, *(name for name in _CHANGE if name in record)):
                record.number(name)
        about = {
            name: value
            for name, value in document.value.items()
            if name not in ("format", "layers", "languages", "records")
        }
        return LayerMeasures(
            tuple(layers), tuple(languages), [record.value for record in records], about
        )
