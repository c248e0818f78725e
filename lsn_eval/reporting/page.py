"""`report`: everything put into one HTML file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from lsn_eval.comparing import Comparison, Panel, compare, with_targets
from lsn_eval.comparing.panels import own_language
from lsn_eval.reporting.answer import MOST_WORDS
from lsn_eval.reporting.answers import browse
from lsn_eval.reporting.board import board
from lsn_eval.reporting.cautions import Caution, cautions
from lsn_eval.reporting.drawings import (
    dose_curves_of,
    fallback_of,
    heat_map_of,
    layers_of,
    moved,
)
from lsn_eval.reporting.facts import Facts, facts, facts_table
from lsn_eval.reporting.failures import ReportError, failures, with_results
from lsn_eval.reporting.rendering import rendered
from lsn_eval.reporting.reproduction import commands, sweeps_of
from lsn_eval.reporting.runs import day_and_time, rows_without_keys, run_tables
from lsn_eval.results import read_runs
from lsn_eval.results.choosing import ALL, Choice
from lsn_eval.results.controls import controlled
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.results.run_files import Paths, RunFile, paths_of, results_files, runs_of
from lsn_eval.storage.masked_secrets import MASKED
from lsn_eval.storage.whole_files import check_place, whole_file
from lsn_eval.tables import (
    Table,
    answers_table,
    change_table,
    forcing_tables,
    own_table,
    success_table,
)
from lsn_eval.tables.leaderboard import leaderboard
from lsn_eval.wording.lists import counted, listed
from lsn_eval.wording.shown import Shown

SUFFIXES = (".html", ".htm")
"""Of the file to write; it may have none."""
MOST_FIGURES = 12
"""On a page; the panels after that have tables alone."""
MOST_SIGNATURES = 2000
"""Lines on a page; the rest are counted."""
MOST_ROWS = 250
"""Of a table; the rest are counted."""
MOST_OPEN = 6
"""Panels and commands that are open when the page is; the others open by a click."""
MOST_VERDICTS = 6
"""On the first screen; the rest stand with their metrics."""
WIDE = 12
"""Languages beyond which the first figure takes the width of the page."""
MOST_PROMPT = 120
"""Characters of a prompt in a line."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What a report shows."""

    choice: Choice = field(default_factory=Choice)
    """The numbers that are reported; without metrics all of them."""
    samples: int | None = None
    """Documents of each generation task; as many as a page holds without it."""
    all_controls: bool = False
    """Every control in a row and a column of its own, not their range and the first."""
    allow: tuple[str, ...] = ()
    """Settings that may differ from the baseline's, as for `compare`."""
    by: str = "condition"
    """`condition`: a report. `model`: a leaderboard of everybody's numbers."""


@dataclass(frozen=True, repr=False)
class Written(Shown):
    """What was written."""

    out: Path
    verdicts: tuple[str, ...]
    """A line each."""
    files: int
    panels: int
    cautions: tuple[Caution, ...]

    def summary(self) -> tuple[str, list[list[str]]]:
        """Where it is, and what it says first."""
        told = [[caution.title, caution.text] for caution in self.cautions]
        told += [["verdict", verdict] for verdict in self.verdicts]
        title = f"{self.out}: {counted(self.files, 'file')}, {counted(self.panels, 'panel')}"
        return title, [["what", "says"], *told]


def report(
    results: Paths,
    out: str | os.PathLike[str],
    *,
    by: str = "condition",
    samples: int | None = None,
    all_controls: bool = False,
    allow: Iterable[str] = (),
    **chosen: str | Iterable[str] | None,
) -> Written:
    """Write one HTML file about results files and folders of them.

    By `condition` it is about what conditions changed, by `model` a leaderboard to be published.
    Equal results and options (`ReportOptions`) give an equal file, whatever its name. `chosen` are
    names or patterns of the `task`, `metric`, `model`, `condition` and `language` to report.

    Raises:
        LsnError: a path that is no results, results without a usable number, or a file that
            cannot be written. Nothing is left behind then.
    """
    choice = Choice.named(**chosen)
    options = ReportOptions(
        choice=choice, samples=samples, all_controls=all_controls, allow=tuple(allow), by=by
    )
    given, out = paths_of(results), Path(out)
    _check(given, out, options)
    paths = with_results(given)
    if same := [path for path in results_files(paths) if path.resolve() == out.resolve()]:
        raise ReportError(f"--out {out} is one of the results files ({same[0]}); give another")
    every_metric = replace(choice, metrics=choice.metrics or (ALL,))
    if by == "model":
        context, comparison, runs, warned = board(paths, every_metric, options.allow)
        content, verdicts = rendered("board.html", context), tuple[str, ...]()
    else:
        comparison, runs, warned, content, verdicts = _report(given, paths, every_metric, options)
    with whole_file(out, ReportError) as file:
        file.write(content)
    return Written(out, verdicts, len(runs), len(comparison.panels), tuple(warned))


def _report(
    given: Sequence[Path], paths: Sequence[Path], every_metric: Choice, options: ReportOptions
) -> tuple[Comparison, list[RunFile], list[Caution], bytes, tuple[str, ...]]:
    """The page about conditions; `given` are the paths with those that hold failures alone."""
    everything = read_runs(paths)
    beside = [row for run in everything for row in run.rows]
    runs = runs_of(everything, every_metric.rows(beside))
    comparison = compare(with_targets(rows_without_keys(runs)), allow=options.allow, beside=beside)
    runs = _ordered(runs, comparison)
    warned = cautions(comparison, runs, failures(given, sweeps_of(runs)))
    found = facts(comparison)
    told = {"cautions": warned, "own_command": shlex.join(_own_command(given, options))}
    content = rendered("page.html", _context(comparison, runs, found, options) | told)
    return comparison, runs, warned, content, tuple(entry.verdict for entry in found)


def _check(paths: Sequence[Path], out: Path, options: ReportOptions) -> None:
    """What can be refused before anything is read."""
    if not paths:
        raise ReportError("no results were given; name results files of lm-eval or folders")
    if options.by not in ("condition", "model"):
        raise ReportError(f"--by {options.by!r}: condition or model was expected")
    if options.by == "model" and (options.samples is not None or options.all_controls):
        raise ReportError(
            "a leaderboard shows no answers, and the range of controls: leave out --samples and "
            "--all-controls with --by model"
        )
    if options.samples is not None and options.samples < 0:
        raise ReportError(f"--samples is {options.samples}; a number of documents was expected")
    check_place(out, ReportError)
    if out.suffix.lower() not in ("", *SUFFIXES):
        raise ReportError(
            f"--out {out} ends in {out.suffix}, and a report is HTML; give a name that ends in "
            f"{SUFFIXES[0]}, e.g. {out.with_suffix(SUFFIXES[0])}"
        )
    if not os.access(out.parent, os.W_OK):
        raise ReportError(f"the folder {out.parent} of --out cannot be written to; give another")


def _ordered(runs: Sequence[RunFile], comparison: Comparison) -> list[RunFile]:
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
    found: Sequence[Facts],
    options: ReportOptions,
) -> dict[str, Any]:
    """What the template is told."""
    parts = [
        _panel(panel, comparison, found, options, drawn=number < MOST_FIGURES)
        for number, panel in enumerate(comparison.panels)
    ]
    layers, lacking = layers_of(runs)
    signatures = _signatures(comparison)
    again, again_left = commands(runs)
    conditions = {run.condition for run in runs} - {NO_CONDITION}
    controls = {condition for condition in conditions if controlled(condition)}
    dates = sorted(run.date for run in runs)
    boards = {
        (panel.model, panel.mask, panel.dtype) for panel in comparison.panels if panel.overall
    }
    return {
        "title": listed(dict.fromkeys(str(run.model) for run in runs), 4),
        "tasks": listed(dict.fromkeys(panel.family for panel in comparison.panels), 4),
        "files": len(runs),
        "interventions": len(conditions - controls),
        "controls": len(controls),
        "first": day_and_time(dates[0]),
        "last": day_and_time(dates[-1]),
        "facts": facts_table(found, comparison.draws.level),
        "run_tables": run_tables(runs, all_controls=options.all_controls),
        "boards": [
            *(leaderboard(comparison) if len(boards) > 1 else []),
            *forcing_tables(comparison.panels),
        ],
        "headline": found[0],
        "lead": next(part for part in parts if found[0] in part["findings"]),
        "panels": parts,
        "verdicts": [(n, one) for n, part in enumerate(parts, 1) for one in part["findings"]],
        "wide": len(comparison.panels[0].languages) > WIDE,
        "most_verdicts": MOST_VERDICTS,
        "most_prompt": MOST_PROMPT,
        "most_words": MOST_WORDS,
        "most_open": MOST_OPEN,
        "still": [panel.title for panel in comparison.panels[:MOST_FIGURES] if not moved(panel)],
        "undrawn": sum(
            part["heat_map"] is None and (moved(panel) or number >= MOST_FIGURES)
            for number, (panel, part) in enumerate(zip(comparison.panels, parts, strict=True))
        ),
        "layers": layers,
        "masks_lacking": lacking,
        "most_rows": MOST_ROWS,
        "tested": comparison.tested,
        "draws": str(comparison.draws),
        "answers": browse(
            comparison, runs, most=options.samples, all_controls=options.all_controls
        ),
        "signatures": signatures[:MOST_SIGNATURES],
        "signatures_left": max(0, len(signatures) - MOST_SIGNATURES),
        "commands": again,
        "commands_left": again_left,
        "masked": MASKED,
        "options": options,
    }


def _panel(
    panel: Panel,
    comparison: Comparison,
    found: Sequence[Facts],
    options: ReportOptions,
    drawn: bool,
) -> dict[str, Any]:
    """One panel of the page."""
    shown = partial(change_table, panel, comparison.draws, all_controls=options.all_controls)
    tables = [
        shown(),
        own_table(panel, comparison.draws),
        success_table(panel, comparison.draws),
        answers_table(panel),
        shown("value"),
    ]
    captioned: list[tuple[Table, str]] = []
    for table in filter(None, tables):
        caption = table.title.removeprefix(f"{panel.title}: ")
        # The panel's own notes stand below the first table.
        notes = [note for note in table.notes if not captioned or note not in panel.notes]
        captioned.append((replace(table, notes=tuple(notes)), caption[:1].upper() + caption[1:]))
    conditions = [*panel.conditions, *(c for of in panel.controls.values() for c in of)]
    alike = [p for p in comparison.panels if _measured(p) == _measured(panel)]
    return {
        "title": panel.title,
        "findings": [entry for entry in found if entry.panel is panel],
        "tables": captioned,
        "own": {condition: own_language(condition) for condition in conditions},
        "heat_map": heat_map_of(panel, comparison.draws) if drawn else None,
        "fallback": fallback_of(panel) if drawn else None,
        # Masks of several sizes are doses, too, and stand with the first of them.
        "doses": dose_curves_of(alike, comparison.draws) if drawn and panel is alike[0] else None,
    }


def _measured(panel: Panel) -> tuple[str, ...]:
    return panel.model, panel.dtype, panel.family, panel.metric


def _signatures(comparison: Comparison) -> list[str]:
    """Every signature once, those of controls last."""
    lines: dict[str, bool] = {}
    for panel in comparison.panels:
        for (condition, _), change in panel.changes.items():
            lines.setdefault(change.row.signature, controlled(condition) is not None)
    return sorted(lines, key=lambda line: lines[line])


def _own_command(paths: Sequence[Path], options: ReportOptions) -> list[str]:
    """With a file name of its own, so that the page does not depend on where it is written."""
    words = ["lsn-eval", "report", *map(str, paths)]
    if options.samples is not None:
        words += ["--samples", str(options.samples)]
    if options.all_controls:
        words.append("--all-controls")
    choice = options.choice
    for option, names in {
        "--task": choice.tasks, "--metric": choice.metrics, "--model": choice.models,
        "--condition": choice.conditions, "--language": choice.languages, "--allow": options.allow,
    }.items():  # fmt: skip
        words += [word for name in names for word in (option, name)]
    return [*words, "--out", "report.html"]
