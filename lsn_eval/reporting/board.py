"""A leaderboard as a page: numbers of many people that were measured with the same, each with its
interval, its controls and its signature; and which files were refused, by the name of a setting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lsn_eval.comparing import Change, Comparison, Panel, compare, with_targets
from lsn_eval.comparing.panels import shift_writer
from lsn_eval.reporting.cautions import Caution, cautions
from lsn_eval.reporting.runs import day_and_time, rows_without_keys
from lsn_eval.results.choosing import Choice
from lsn_eval.results.controls import controlled
from lsn_eval.results.rows import NO_CONDITION, ResultsError, Row
from lsn_eval.results.run_files import RunFile, newest, read_file, results_files, runs_of
from lsn_eval.results.settings import (
    OF_THE_MODEL,
    alike_between_models,
    allowed_settings,
    differences_between_models,
    in_words,
)
from lsn_eval.tables import Cell, Table
from lsn_eval.tables.leaderboard import leaderboard
from lsn_eval.tables.views import controls_cell
from lsn_eval.wording.lists import counted, listed
from lsn_eval.wording.numbers import interval, p_value, plain

MOST_NUMBERS = 5000
"""Rows of the table; the rest are counted."""
MOST_REFUSED = 500
"""Files that are named for one reason; the rest are counted."""
_COLUMNS = (
    "model", "mask", "condition", "language", "task", "metric", "none", "value", "change",
    "interval", "controls", "rank p", "signature",
)  # fmt: skip
_FACETS = ("model", "condition", "language", "task", "metric")
"""What the rows are filtered by."""


def board(
    paths: Sequence[Path], choice: Choice, allow: Sequence[str]
) -> tuple[dict[str, Any], Comparison, list[RunFile], list[Caution]]:
    """What the template is told, and what it is told about.

    Raises:
        LsnError: no file can be read, or what was chosen is not there.
    """
    runs, damaged = [], []
    for path in results_files(paths):
        try:
            runs.append(read_file(path))
        except ResultsError as error:
            if path in paths:
                raise
            damaged.append(str(error).replace(str(path), _shown(path, paths)))
    runs = runs_of(runs, [row for run in runs for row in run.rows])
    chosen = choice.rows([row for run in runs for row in run.rows])
    runs = runs_of(runs, chosen)
    allowed = allowed_settings(allow, {name for row in chosen for name in row.settings})
    kept, apart = _alike(rows_without_keys(runs), allowed)
    comparison = compare(with_targets(newest(kept)), allow=allow)
    runs = runs_of(runs, comparison.rows)
    told = [_refused("no results that can be read", damaged)] if damaged else []
    for names, files in apart.items():
        items = [f"{_shown(file, paths)} ({listed(files[file])})" for file in files]
        told.append(_refused(f"measured with another {' and '.join(names)}", items))
    told += cautions(comparison, runs, [])
    table, facets = _numbers(comparison.panels)
    boards = [panel for panel in comparison.panels if panel.overall]
    dates = sorted(run.date for run in runs)
    context = {
        "models": listed(dict.fromkeys(row.model for row in comparison.rows), 4),
        "files": len(runs),
        "first": day_and_time(dates[0]),
        "last": day_and_time(dates[-1]),
        "boards": leaderboard(comparison, allowed) if boards else [],
        "numbers": table,
        "facets": facets,
        "shared": _shared(comparison.rows, allowed),
        "cautions": told,
        "draws": str(comparison.draws),
        "most_rows": MOST_NUMBERS,
    }
    return context, comparison, runs, told


_Apart = dict[tuple[str, ...], dict[Path, dict[str, None]]]
"""By names of settings and by file: in words, which tasks differ in them from the rest, and how."""


def _refused(why: str, items: Sequence[str]) -> Caution:
    return Caution("Refused", why, tuple(items[:MOST_REFUSED]), max(0, len(items) - MOST_REFUSED))


def _alike(rows: Iterable[Row], allowed: Collection[str]) -> tuple[list[Row], _Apart]:
    """Task by task the rows of the settings that most models were measured with; and the others."""
    by_task: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_task[row.task].append(row)
    kept: list[Row] = []
    apart: _Apart = defaultdict(lambda: defaultdict(dict))
    for task, of_task in by_task.items():
        groups = alike_between_models(of_task, lambda row: [row.settings], allowed)
        most = max(groups, key=lambda group: len({row.model for row in group}))
        kept += most
        for row in (row for group in groups if group is not most for row in group):
            found = differences_between_models(most[0].settings, row.settings, allowed)
            said = f"{task}: {'; '.join(in_words(found))}"
            apart[tuple(found)][row.file][said] = None
    return kept, apart


def _numbers(panels: Sequence[Panel]) -> tuple[Table, list[dict[str, str]]]:
    """A row a number, controls beside what they are of; and what each is filtered by."""
    rows, facets = [], []
    baselines = set()
    for panel in panels:
        for (condition, language), change in panel.changes.items():
            row = change.row
            key = row.file, row.task, row.name
            seen = condition == NO_CONDITION and key in baselines
            if seen or controlled(condition) or change.incomparable or not row.usable:
                continue
            baselines.add(key)
            rows.append(_row(panel, language, change))
            facets.append(dict(zip(_FACETS, _names(panel, language, change), strict=True)))
    left_out = [f"{counted(len(rows) - MOST_NUMBERS, 'number')} left out"] * (
        len(rows) > MOST_NUMBERS
    )
    return Table("Every number", _COLUMNS, tuple(rows), tuple(left_out)), facets[:MOST_NUMBERS]


def _names(panel: Panel, language: str, change: Change) -> tuple[str, str, str, str, str]:
    return panel.model, change.row.condition, language, panel.family, panel.metric


def _row(panel: Panel, language: str, change: Change) -> tuple[Cell, ...]:
    row, moved = change.row, shift_writer(change.scale)
    model, condition, language, task, metric = _names(panel, language, change)
    changed = condition != NO_CONDITION
    start, shift = change.baseline, change.shift if changed else None
    error = "" if row.stderr is None else f" ± {plain(row.stderr)}"
    why = "; ".join([*change.obstacles, *row.warnings])
    return (
        Cell(model),
        Cell(row.mask),
        Cell(condition),
        Cell(language),
        Cell(task),
        Cell(metric),
        Cell(plain(start.value), start.value) if changed and start else Cell(""),
        Cell(plain(row.value) + error, row.value, "contradicted" if change.contradicted else ""),
        Cell("" if shift is None else moved(shift), shift, change.mark, why)
        if changed
        else Cell(""),
        Cell(interval(change.interval, moved) if changed else ""),
        controls_cell(list(change.controls.values()), moved),
        Cell(p_value(change.control_p), change.control_p),
        Cell(row.signature),
    )


def _shared(rows: Iterable[Row], allowed: Collection[str]) -> Table:
    """What every number of a task was measured with."""
    settings: dict[str, Mapping[str, str]] = {}
    for row in rows:
        settings.setdefault(row.task, row.settings)
    cells = [
        (Cell(task), Cell("; ".join(
            f"{name} {value}"
            for name, value in of.items()
            if value != "none" and name not in {*OF_THE_MODEL, *allowed}
        )))
        for task, of in settings.items()
    ]  # fmt: skip
    return Table("What the numbers of a task share", ("task", "settings"), tuple(cells))


def _shown(file: Path, paths: Sequence[Path]) -> str:
    """Within the folder that was given, whose own place is nobody's business."""
    above = next((path for path in paths if path in file.parents), file.parent)
    return str(file.relative_to(above))
