"""`lsn-eval compare`: results files into tables of what conditions changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lsn_eval.comparing import Comparison
    from lsn_eval.results.rows import Row
    from lsn_eval.tables import Table


def compare(
    results: Annotated[
        list[Path], typer.Argument(help="Results files of lm-eval, or folders that hold them.")
    ],
    by: Annotated[
        str, typer.Option(help="condition: conditions x languages. model: a leaderboard.")
    ] = "condition",
    task: Annotated[
        list[str] | None,
        typer.Option(help="Tasks to keep, by name or pattern; repeat.", show_default="all"),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metrics, or 'all'; repeat.", show_default="each task's first"),
    ] = None,
    show: Annotated[
        str | None,
        typer.Option(
            help="value, difference, relative, ratio, ppxc; several with commas.",
            show_default="relative for perplexities, difference for the rest",
        ),
    ] = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="terminal, markdown, csv, json or latex.",
            show_default="by the suffix of --out, else terminal",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write.", show_default="screen")] = None,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="Intervals in every cell.")
    ] = False,
    all_controls: Annotated[
        bool, typer.Option("--all-controls", help="Every control in a row of its own.")
    ] = False,
    tests: Annotated[
        bool, typer.Option(help="Read logged samples for intervals and tests.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Of bootstrap and randomisation.", min=0)] = 0,
    resamples: Annotated[int, typer.Option(help="Of the bootstrap.")] = 2000,
    permutations: Annotated[int, typer.Option(help="Of the randomisation.")] = 9999,
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="A setting that may differ from the baseline's, e.g. lm_eval; repeat."),
    ] = None,
) -> None:
    """Tables of what each condition changed, with intervals, tests and controls.

    Reads results files of any lm-eval run, under lsn_hf or another model. Every condition is
    compared with 'none' of the same model and task; numbers measured with something else are
    refused, and the table says why. CSV and JSON hold one row a number.

    Example: lsn-eval compare sweep

    Example: lsn-eval compare runs/ --by model --metric byte_perplexity --out board.md
    """
    from lsn_eval.comparing import Draws
    from lsn_eval.comparing import compare as compare_rows
    from lsn_eval.errors import LsnError
    from lsn_eval.results import read_results
    from lsn_eval.storage.whole_files import whole_file
    from lsn_eval.tables.formats import FORMATS, SUFFIXES
    from lsn_eval.visible_text import one_line
    from lsn_eval.wording.lists import counted

    suffix = "" if out is None else out.suffix.lower()
    if output_format == "html" or suffix in (".html", ".htm"):
        raise LsnError("tables are no pages: 'lsn-eval report RESULTS --out FILE.html' writes HTML")
    chosen = output_format or SUFFIXES.get(suffix, "terminal")
    if chosen not in FORMATS:
        raise LsnError(f"--format {chosen!r}: one of {', '.join(FORMATS)} was expected")
    if out is not None and SUFFIXES.get(suffix) != chosen:
        known = ", ".join(f"{ending} ({name})" for ending, name in SUFFIXES.items())
        raise LsnError(
            f"--out {out} does not end as {chosen} does; there are {known}"
            if output_format
            else f"--out {out}: an ending that says the format was expected: {known}"
        )
    if by not in ("condition", "model"):
        raise LsnError(f"--by {by!r}: condition or model was expected")
    draws = Draws(resamples=resamples, permutations=permutations, seed=seed, level=level)
    everything = read_results(results)
    rows = _chosen_rows(everything, task or [])
    if metric is None and chosen not in ("csv", "json"):
        rows = _first_metrics(rows)
    elif metric and "all" not in metric:
        rows = _with_metrics(rows, metric)
    comparison = compare_rows(rows, draws=draws, test=tests, allow=allow or (), beside=everything)
    if chosen in ("csv", "json"):
        from lsn_eval.tables.tidy_files import as_csv, as_json

        text = as_csv(comparison) if chosen == "csv" else as_json(comparison)
    else:
        from lsn_eval.tables.formats import render

        tables = _tables(comparison, by, show, all_controls, intervals)
        text = render(tables, chosen, (*comparison.notes, *comparison.remarks))
    if out is None:
        print(text, end="")
        return
    with whole_file(out, LsnError) as file:
        file.write(text.encode())
    for note in (*comparison.notes, *comparison.remarks):
        print(f"WARNING: {one_line(note)}")
    files = counted(len({row.file for row in rows}), "file")
    print(f"{counted(len(comparison.rows), 'number')} of {files} in {out}")


def _chosen_rows(rows: Sequence[Row], patterns: Sequence[str]) -> list[Row]:
    """Those of the tasks, groups of tasks (family) included."""
    from fnmatch import fnmatchcase

    from lsn_eval.errors import LsnError

    chosen = list(rows)
    for pattern in patterns:
        if not any(fnmatchcase(row.task, pattern) or row.family == pattern for row in rows):
            there = ", ".join(dict.fromkeys(row.family for row in rows))
            raise LsnError(f"--task {pattern}: no such task in the results; there are {there}")
    if patterns:
        chosen = [
            row
            for row in rows
            if any(fnmatchcase(row.task, p) or row.family == p for p in patterns)
        ]
    return chosen


def _with_metrics(rows: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    from lsn_eval.errors import LsnError

    there = dict.fromkeys(name for row in rows for name in (row.name, row.metric))
    for name in metrics:
        if name not in there:
            raise LsnError(
                f"--metric {name}: no such metric in the results; there are {', '.join(there)}"
            )
    return [row for row in rows if row.name in metrics or row.metric in metrics]


def _first_metrics(rows: Sequence[Row]) -> list[Row]:
    """The task's first metric, under each of its filters."""
    usable = {(row.task, row.metric) for row in rows if row.usable}
    first: dict[str, str] = {}
    for row in rows:
        if (row.task, row.metric) in usable:
            first.setdefault(row.task, row.metric)
    return [row for row in rows if row.metric == first.get(row.task)]


def _tables(
    comparison: Comparison, by: str, show: str | None, all_controls: bool, intervals: bool
) -> list[Table]:
    from dataclasses import replace

    from lsn_eval.errors import LsnError
    from lsn_eval.tables import change_table, own_table
    from lsn_eval.tables.leaderboard import leaderboard
    from lsn_eval.tables.views import default_show, parse_show

    if by == "model":
        if show or all_controls or intervals:
            raise LsnError(
                "a leaderboard has columns of its own: leave out --show, --all-controls and "
                "--intervals with --by model"
            )
        return leaderboard(comparison)
    asked = parse_show([name.strip() for name in show.split(",")]) if show else None
    tables: list[Table] = []
    for panel in comparison.panels:
        # Of a perplexity alone; asked for beside other metrics it is left out for those.
        names = [n for n in asked or (default_show(panel),) if n != "ppxc" or panel.scale == "log"]
        shown = [
            change_table(
                panel, comparison.draws, name, all_controls=all_controls, intervals=intervals
            )
            for name in names
        ]
        # Signatures once, below the first of a panel's tables.
        tables += [*shown[:1], *(replace(table, signatures=()) for table in shown[1:])]
        if shown and (own := own_table(panel, comparison.draws)):
            tables.append(own)
    if not tables:
        raise LsnError(
            f"--show {show}: PPXC is a change of perplexity, and there is none; name one with "
            "--metric"
        )
    return tables
