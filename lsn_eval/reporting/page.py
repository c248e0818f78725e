"""`write_report`: everything put into one HTML file."""

from __future__ import annotations

import fnmatch
import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lsn_eval.comparing import Comparison, Panel, compare
from lsn_eval.reporting.cautions import Caution, cautions
from lsn_eval.reporting.errors import ReportError
from lsn_eval.reporting.failures import Failure, failures, with_results
from lsn_eval.reporting.figures import MOST_FIGURES, ReportFigure, figures, moved
from lsn_eval.reporting.generations import LONGEST, generations
from lsn_eval.reporting.rendering import rendered
from lsn_eval.reporting.reproduction import commands
from lsn_eval.reporting.runs import day_and_time, run_tables
from lsn_eval.reporting.verdict import verdict
from lsn_eval.results import read_runs
from lsn_eval.results.controls import controlled
from lsn_eval.results.rows import NO_CONDITION, Row
from lsn_eval.results.run_files import RunFile, runs_of
from lsn_eval.storage.masked_secrets import secret_texts, without
from lsn_eval.storage.whole_files import whole_file
from lsn_eval.tables import Table, change_table, own_table
from lsn_eval.tables.leaderboard import leaderboard

SUFFIXES = (".html", ".htm")
"""Of the file to write; it may have none."""
MOST_SIGNATURES = 2000
"""Lines on a page; the rest are counted."""
MOST_ROWS = 250
"""Of a table; the rest are counted."""
OPEN_PANELS = 6
"""Panels whose tables are open when the page is; the others open by a click."""
PREVIEW = 280
"""Characters of a prompt or an answer that show before it is opened."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What a report shows."""

    samples: int = 5
    """Documents of each generation task."""
    all_controls: bool = False
    """Every control in a row and a column of its own, not their range and the first."""
    allow: tuple[str, ...] = ()
    """Settings that may differ from the baseline's, as for `compare`."""
    tasks: tuple[str, ...] = ()
    """Tasks to report, by name or pattern; all of them without."""
    metrics: tuple[str, ...] = ()
    """Metrics to report, with or without their filter; all of them without."""


@dataclass(frozen=True)
class Written:
    """What was written."""

    headline: str
    files: int
    panels: int
    cautions: tuple[Caution, ...]


@dataclass(frozen=True)
class _PanelPart:
    """One panel of the page."""

    title: str
    tables: tuple[tuple[Table, str], ...]
    """Each with its caption: the title without what the panel's own title says."""
    figures: tuple[ReportFigure, ...]


def write_report(
    paths: Sequence[Path], out: Path, options: ReportOptions = ReportOptions()
) -> Written:
    """Write one HTML file about results files and folders of them.

    Equal results and options give an equal file, whatever its name.

    Raises:
        LsnError: a path that is no results, results without a usable number, or a file that
            cannot be written. Nothing is left behind then.
    """
    _check(paths, out, options)
    everything = read_runs(with_results(paths))
    beside = [row for run in everything for row in run.rows]
    if same := [run.path for run in everything if run.path.resolve() == out.resolve()]:
        raise ReportError(f"--out {out} is one of the results files ({same[0]}); give another")
    rows = _chosen(beside, options)
    found = runs_of(everything, rows)
    comparison = compare(_hidden(rows, found), allow=options.allow, beside=beside)
    runs = _ordered(found, comparison)
    context = _context(comparison, runs, failures(paths, runs), options)
    context["own_command"] = shlex.join(_own_command(paths, options))
    content = rendered(context)
    with whole_file(out, ReportError) as file:
        file.write(content)
    return Written(
        context["verdict"].headline, len(runs), len(comparison.panels), tuple(context["cautions"])
    )


def _check(paths: Sequence[Path], out: Path, options: ReportOptions) -> None:
    """What can be refused before anything is read."""
    if not paths:
        raise ReportError("no results were given; name results files of lm-eval or folders")
    if options.samples < 0:
        raise ReportError(f"--samples is {options.samples}; a number of documents was expected")
    if out.is_dir():
        raise ReportError(f"--out {out} is a folder; give a file, e.g. {out / 'report.html'}")
    if out.suffix.lower() not in ("", *SUFFIXES):
        raise ReportError(
            f"--out {out} ends in {out.suffix}, and a report is HTML; give a name that ends in "
            f"{SUFFIXES[0]}, e.g. {out.with_suffix(SUFFIXES[0])}"
        )
    if file := next((parent for parent in out.parents if parent.is_file()), None):
        raise ReportError(f"{file}, named in --out {out} as a folder, is a file; give a folder")
    if not out.parent.is_dir():
        raise ReportError(f"the folder {out.parent} of --out does not exist; create it first")
    if not os.access(out.parent, os.W_OK):
        raise ReportError(f"the folder {out.parent} of --out cannot be written to; give another")


def _chosen(rows: Sequence[Row], options: ReportOptions) -> list[Row]:
    """The rows of the tasks and metrics asked for, each of which has to be there."""
    for asked, named, there in (
        (options.tasks, "task", {row.task for row in rows}),
        (options.metrics, "metric", {name for row in rows for name in (row.metric, row.name)}),
    ):
        for pattern in asked:
            if not fnmatch.filter(there, pattern):
                raise ReportError(
                    f"{pattern!r} is no {named} of these results; there are "
                    f"{', '.join(_few(sorted(there), 20))}"
                )
    return [
        row
        for row in rows
        if _any(options.tasks, row.task) and _any(options.metrics, row.metric, row.name)
    ]


def _hidden(rows: Sequence[Row], runs: Sequence[RunFile]) -> list[Row]:
    """The rows without keys in the settings, which the reason of a refusal repeats."""
    hidden = {text for run in runs for text in secret_texts(run.config)}
    return [
        replace(row, settings={name: without(text, hidden) for name, text in row.settings.items()})
        for row in rows
    ]


def _any(patterns: Sequence[str], *names: str) -> bool:
    """Whether one of the names is asked for; all are if nothing is."""
    return not patterns or any(fnmatch.filter(names, pattern) for pattern in patterns)


def _ordered(runs: list[RunFile], comparison: Comparison) -> list[RunFile]:
    """In the panels' order of conditions, each followed by its controls."""
    order: dict[tuple[str, str], int] = {}
    for panel in comparison.panels:
        for condition in panel.conditions:
            for name in (condition, *panel.controls.get(condition, ())):
                order.setdefault((panel.model, name), len(order))
    return sorted(runs, key=lambda run: order.get((run.model, run.condition), len(order)))


def _context(
    comparison: Comparison,
    runs: Sequence[RunFile],
    failed: Sequence[Failure],
    options: ReportOptions,
) -> dict[str, Any]:
    found = verdict(comparison)
    examples, example_notes = generations(
        comparison, runs, samples=options.samples, all_controls=options.all_controls
    )
    told = [sentences for _, sentences in found.panels]
    parts = [
        _panel(panel, comparison, sentences, options, drawn=number < MOST_FIGURES)
        for number, (panel, sentences) in enumerate(zip(comparison.panels, told, strict=True))
    ]
    signatures, control_signatures, signatures_left = _signatures(comparison)
    dates = sorted(run.date for run in runs)
    return {
        "title": " and ".join(_few(dict.fromkeys(str(run.model) for run in runs))),
        "tasks": _few(dict.fromkeys(panel.family for panel in comparison.panels)),
        "files": len(runs),
        "interventions": len(
            {
                run.condition
                for run in runs
                if run.condition != NO_CONDITION and controlled(run.condition) is None
            }
        ),
        "controls": len({run.condition for run in runs if controlled(run.condition)}),
        "first": day_and_time(dates[0]),
        "last": day_and_time(dates[-1]),
        "verdict": found,
        "cautions": cautions(comparison, runs, failed),
        "run_tables": run_tables(runs, all_controls=options.all_controls),
        "boards": _boards(comparison),
        "panels": parts,
        "open_panels": OPEN_PANELS,
        "still": [panel.title for panel in comparison.panels[:MOST_FIGURES] if not moved(panel)],
        "undrawn": len(
            [
                panel
                for number, (panel, part) in enumerate(zip(comparison.panels, parts, strict=True))
                if not part.figures and (moved(panel) or number >= MOST_FIGURES)
            ]
        ),
        "most_rows": MOST_ROWS,
        "tested": comparison.tested,
        "draws": str(comparison.draws),
        "examples": examples,
        "example_notes": example_notes,
        "preview": PREVIEW,
        "longest": LONGEST,
        "signatures": signatures,
        "control_signatures": control_signatures,
        "signatures_left": signatures_left,
        "commands": commands(runs),
        "options": options,
    }


def _boards(comparison: Comparison) -> list[Table]:
    """Models and masks beside each other, where there are several."""
    entries = {(p.model, p.mask, p.dtype) for p in comparison.panels if p.overall}
    return leaderboard(comparison) if len(entries) > 1 else []


def _panel(
    panel: Panel,
    comparison: Comparison,
    told: Sequence[str],
    options: ReportOptions,
    drawn: bool,
) -> _PanelPart:
    values = change_table(panel, comparison.draws, "value", all_controls=options.all_controls)
    # The panel's own notes stand below the first table.
    tables = [
        change_table(panel, comparison.draws, all_controls=options.all_controls),
        own_table(panel, comparison.draws),
        replace(values, notes=tuple(note for note in values.notes if note not in panel.notes)),
    ]
    pictures = figures(panel, comparison.draws, told) if drawn else []
    captioned = tuple(
        (table, _caption(table.title.removeprefix(f"{panel.title}: ")))
        for table in tables
        if table is not None
    )
    return _PanelPart(panel.title, captioned, tuple(pictures))


def _caption(title: str) -> str:
    return title[:1].upper() + title[1:]


def _signatures(comparison: Comparison) -> tuple[list[str], list[str], int]:
    """Every signature once, those of controls apart, and how many are left out."""
    lines: dict[str, bool] = {}
    for panel in comparison.panels:
        for (condition, _), change in panel.changes.items():
            lines.setdefault(change.row.signature, controlled(condition) is not None)
    shown = [line for line, control in lines.items() if not control]
    controls = [line for line, control in lines.items() if control]
    kept = shown[:MOST_SIGNATURES]
    kept_controls = controls[: MOST_SIGNATURES - len(kept)]
    return kept, kept_controls, len(lines) - len(kept) - len(kept_controls)


def _own_command(paths: Sequence[Path], options: ReportOptions) -> list[str]:
    """With a file name of its own, so that the page does not depend on where it is written."""
    words = ["lsn-eval", "report", *map(str, paths)]
    if options.samples != ReportOptions.samples:
        words += ["--samples", str(options.samples)]
    if options.all_controls:
        words.append("--all-controls")
    for option, names in (
        ("--task", options.tasks), ("--metric", options.metrics), ("--allow", options.allow)
    ):  # fmt: skip
        for name in names:
            words += [option, name]
    return [*words, "--out", "report.html"]


def _few(names: Iterable[str], most: int = 4) -> list[str]:
    chosen = list(names)
    return chosen[:most] + ([f"{len(chosen) - most} more"] if len(chosen) > most else [])
