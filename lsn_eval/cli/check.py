"""`lsn-eval check`: results against a committed baseline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lsn_eval.checking.baselines import Baseline
    from lsn_eval.results.rows import Row


def check(
    results: Annotated[
        list[Path], typer.Argument(help="Results files of lm-eval, or folders that hold them.")
    ],
    baseline: Annotated[Path, typer.Option(help="The committed baseline file.")],
    update: Annotated[
        bool, typer.Option("--update", help="Accept the results: write the baseline.")
    ] = False,
    tolerance: Annotated[
        str | None,
        typer.Option(
            help="Of numbers new to the baseline: 0.01 or 1% (relative), 0.5abs, 2se (standard "
            "errors).",
            show_default="0.01",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Metrics to keep, with --update; repeat.", show_default="all"),
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML to write.")] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Print GitHub annotations as well.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare results with a committed baseline, for continuous integration.

    Exit status 0: nothing got worse. 1: something moved, is missing, was measured with something
    else, or misses a gate. 2: the input cannot be used.

    Example: lsn-eval check results/ --baseline baseline.json

    Example: lsn-eval check results/ --baseline baseline.json --update --metric token_perplexity
    """
    from lsn_eval.checking import formats
    from lsn_eval.checking.baseline_files import read_baseline, write_baseline
    from lsn_eval.checking.baselines import BaselineError, Tolerance, make_baseline
    from lsn_eval.checking.checks import check as check_rows
    from lsn_eval.results import read_results
    from lsn_eval.storage.whole_files import whole_file

    if not update and (tolerance is not None or metric):
        raise BaselineError(
            "--tolerance and --metric say what --update writes; without it the baseline's own "
            "hold. Add --update, or edit the file"
        )
    if as_json and github:
        raise BaselineError("--json and --github both write to standard output; give one of them")
    for path in filter(None, (junit, baseline if update else None)):
        if not path.parent.is_dir() or path.is_dir():
            raise BaselineError(
                f"{path} cannot be written: its folder does not exist, or it is one"
            )
    wanted = None if tolerance is None else Tolerance.parse(tolerance)
    rows = read_results(results)
    notes = _notes(rows)
    if update:
        before = read_baseline(baseline) if baseline.exists() else None
        made = make_baseline(rows, before, tolerance=wanted, metrics=metric)
        write_baseline(made, baseline)
        notes += _written(baseline, made, before)
    kept = read_baseline(baseline)
    findings = check_rows(rows, kept)
    if junit is not None:
        with whole_file(junit, BaselineError) as file:
            file.write(formats.junit(findings, baseline))
    if as_json:
        print(json.dumps(formats.document(findings, notes), indent=2, ensure_ascii=False))
    else:
        print("\n".join([*notes, formats.table(findings)]))
    if github:
        print("\n".join(formats.github(findings, baseline)))
    if any(finding.failing for finding in findings):
        raise typer.Exit(1)


def _notes(rows: Sequence[Row]) -> list[str]:
    """What the reader of the table should know first."""
    notes = []
    older = {(row.model, row.condition, row.task): row.older for row in rows}
    if any(older.values()):
        files = sum(older.values())
        notes.append(f"{files} older results of the same model, condition and task were left out")
    notes += sorted({f"{row.condition}: {text}" for row in rows for text in row.warnings})
    return notes


def _written(path: Path, made: Baseline, before: Baseline | None) -> list[str]:
    keys = {value.key for value in made.values}
    old = {value.key: value for value in before.values} if before else {}
    moved = sum(value.key in old and value.value != old[value.key].value for value in made.values)
    removed = len(old.keys() - keys)
    return [
        f"written to {path}: {len(keys)} values, {len(keys - old.keys())} new, {moved} moved, "
        f"{removed} removed; {len(made.gates)} gates kept"
    ]
