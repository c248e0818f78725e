"""CSV and JSON of a comparison: one row a number, unrounded, written as they are made."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from lsn_eval.comparing import Comparison, Panel
from lsn_eval.comparing.tidy import tidy
from lsn_eval.wording.numbers import finite

_FORMULA = frozenset("=+-@\t\r")
"""What a spreadsheet takes a cell for that begins so."""


def csv_parts(comparison: Comparison) -> Iterator[str]:
    """A header, then a line a number."""
    return csv_lines(tidy(comparison.panels, comparison.unmoved))


def csv_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A header, then a line a row. Text that a spreadsheet would take for a formula has an
    apostrophe before it, which spreadsheets hide and readers of data have to remove."""
    as_it_is: Any = SimpleNamespace(write=str)  # what it writes, `writerow` gives back
    line = csv.writer(as_it_is, lineterminator="\n").writerow
    for number, row in enumerate(rows):
        if number == 0:
            yield line(row)
        yield line(
            f"'{value}" if type(value) is str and value[:1] in _FORMULA else value
            for value in row.values()
        )


def json_parts(comparison: Comparison) -> Iterator[str]:
    """Warnings, how it was tested, a line a number, and selectivities by panel."""
    head = {
        "notes": [*comparison.notes, *comparison.remarks],
        "test": dataclasses.asdict(comparison.draws) if comparison.tested else None,
    }
    yield _dumped(head).removesuffix("\n}") + ',\n  "numbers": ['
    for number, row in enumerate(tidy(comparison.panels, comparison.unmoved)):
        yield ("," if number else "") + "\n    " + _dumped(row, indent=None)
    panels = {"panels": [_panel(panel) for panel in comparison.panels]}
    yield "\n  ]," + _dumped(panels).removeprefix("{") + "\n"


def _panel(panel: Panel) -> dict[str, Any]:
    plain = ("model", "mask", "dtype", "family", "metric", "scale", "languages", "uneven", "notes")
    return {
        **{name: getattr(panel, name) for name in plain},
        "selectivity": {name: dataclasses.asdict(x) for name, x in panel.selectivity.items()},
        "overall": {name: dataclasses.asdict(x) for name, x in panel.overall.items()},
    }


def _dumped(value: Any, indent: int | None = 2) -> str:
    return json.dumps(finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
