"""Sets what a recipe measured beside what the paper published, as a Markdown table.

    beside_published.py scripts/reproduce/tang figure_2 change.csv \\
      --row condition --column language --value difference

The folder's `published.csv` has the columns table, model, row, column, value, unit. The measured
file is a CSV or JSON table (`lsn-eval compare --out change.csv`), a record a number; or a JSON
document in which `--at` names such a table, or an object whose numbers are all meant.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsn_eval.wording.text_tables import markdown_table

Cell = tuple[str, str]
"""Names of the row and the column."""


def published(folder: Path, table: str) -> dict[str, dict[Cell, str]]:
    """The paper's numbers by model, as they are printed there; the unit follows the number."""
    by_model: dict[str, dict[Cell, str]] = {}
    path = folder / "published.csv"
    if path.is_file():
        for line in csv.DictReader(path.read_text("utf-8").splitlines()):
            if line["table"] == table:
                shown = f"{line['value']} {line['unit']}".strip()
                by_model.setdefault(line["model"], {})[line["row"], line["column"]] = shown
    return by_model


def measured(path: Path, names: argparse.Namespace) -> dict[Cell, str]:
    """Numbers of a file that a command wrote; what has no number is left out.

    Raises:
        SystemExit: two numbers for one cell, or none at all.
    """
    numbers: dict[Cell, str] = {}
    for row, column, value in _cells(path, names):
        if value in (None, ""):
            continue
        if (row, column) in numbers:
            sys.exit(f"{path} has two numbers for {row}, {column}: choose with --where NAME=VALUE")
        numbers[row, column] = f"{float(value):.4g}"
    if not numbers:
        sys.exit(f"{path} has no number of {names.value or names.at}: nothing was measured")
    return numbers


def _cells(path: Path, names: argparse.Namespace) -> Iterator[tuple[str, str, Any]]:
    text = path.read_text("utf-8")
    found = csv.DictReader(text.splitlines()) if path.suffix == ".csv" else json.loads(text)
    if names.at is not None:
        for key in filter(None, names.at.split(".")):
            found = found[int(key)] if isinstance(found, list) else found[key]
        if isinstance(found, dict):
            yield from _leaves(found)
            return
    where = dict(condition.split("=", 1) for condition in names.where)
    for record in found:
        if all(record[name] == value.format_map(record) for name, value in where.items()):
            yield record[names.row], record[names.column], record[names.value]


def _leaves(found: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str, Any]]:
    """Every number in a document by the first name on the way to it, and the others."""
    if not isinstance(found, dict | list):
        yield path[0], ".".join(path[1:]), found
        return
    for name, value in found.items() if isinstance(found, dict) else enumerate(found):
        yield from _leaves(value, (*path, str(name)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="of the paper's recipes")
    parser.add_argument("table", help="table or figure, as published.csv names it")
    parser.add_argument("measured", type=Path, help="CSV or JSON that a command wrote")
    parser.add_argument("--row", default="condition")
    parser.add_argument("--column", default="language")
    parser.add_argument("--value", default="value")
    cells = "cells of the record may stand in it: condition={language}:zero"
    parser.add_argument("--where", action="append", default=[], metavar="NAME=VALUE", help=cells)
    parser.add_argument("--at", help="a place in a JSON document, such as masks.0.neurons")
    names = parser.parse_args()
    papers = published(names.folder, names.table)
    ours = measured(names.measured, names)
    heading = ["row", "column", *(f"published, {model}" for model in papers), "measured"]
    rows = [
        [*cell, *(numbers.get(cell, "") for numbers in papers.values()), value]
        for cell, value in ours.items()
    ]
    print(markdown_table([heading, *rows]))
    if rest := len({cell for numbers in papers.values() for cell in numbers} - set(ours)):
        print(f"\n{rest:,} further published numbers have nothing measured beside them.")
    if not papers:
        print(f"\nNo number of {names.table} is in {names.folder / 'published.csv'}.")


if __name__ == "__main__":
    main()
