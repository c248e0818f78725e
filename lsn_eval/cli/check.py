"""`lsn-eval check`: results against a committed baseline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsn_eval.cli.choosing_options import (
    Conditions,
    Languages,
    Models,
    Tasks,
    choice_of,
    metric_option,
)
from lsn_eval.visible_text import visible

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
    task: Tasks = None,
    metric: Annotated[list[str] | None, metric_option("all, or those of the baseline")] = None,
    model: Models = None,
    condition: Conditions = None,
    language: Languages = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="A setting that may have changed, e.g. 'prompts'; repeat."),
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML to write.")] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Print GitHub annotations as well.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare results with a committed baseline, for continuous integration.

    Exit status 0: nothing got worse. 1: something moved, is missing, was measured with something
    else, or misses a gate. 2: the input cannot be used. With --update the baseline holds what is
    chosen, and remembers the metrics.

    Example: lsn-eval check results/ --baseline baseline.json

    Example: lsn-eval check results/ --baseline baseline.json --update --metric token_perplexity
    """
    from lsn_eval.checking import formats
    from lsn_eval.checking.baseline_files import read_baseline, write_baseline
    from lsn_eval.checking.baselines import BaselineError, Tolerance, make_baseline
    from lsn_eval.checking.checks import changed_versions
    from lsn_eval.checking.checks import check as check_rows
    from lsn_eval.results import read_results
    from lsn_eval.storage.whole_files import whole_file

    if tolerance is not None and not update:
        raise BaselineError(
            "--tolerance says what --update writes; without it the baseline's own tolerances hold. "
            "Add --update, or edit the file"
        )
    if as_json and github:
        raise BaselineError("--json and --github both write to standard output; give one of them")
    for path in filter(None, (junit, baseline if update else None)):
        if not path.parent.is_dir() or path.is_dir():
            raise BaselineError(
                f"{path} cannot be written: its folder does not exist, or it is one"
            )
    wanted = None if tolerance is None else Tolerance.parse(tolerance)
    choice = choice_of(task, metric or ["all"], model, condition, language)
    rows = read_results(results)
    notes = _notes(rows)
    if update:
        before = read_baseline(baseline) if baseline.exists() else None
        metrics = choice.resolved(rows).metrics if metric else None
        made = make_baseline(choice.rows(rows), before, tolerance=wanted, metrics=metrics)
        write_baseline(made, baseline)
        notes += [*(before.notes if before else ()), *_written(baseline, made, before)]
    committed = read_baseline(baseline)
    notes += [*committed.notes, *changed_versions(rows, committed)]
    findings = check_rows(rows, committed, choice=choice, allow=allow or ())
    if junit is not None:
        with whole_file(junit, BaselineError) as file:
            file.write(formats.junit(findings, baseline))
    if as_json:
        print(json.dumps(formats.document(findings, notes), indent=2))
    else:
        print("\n".join([*map(visible, notes), formats.table(findings)]))
    if github:
        print("\n".join(formats.github(findings, baseline)))
    if any(finding.failing for finding in findings):
        raise typer.Exit(1)


def _notes(rows: Sequence[Row]) -> list[str]:
    """What the reader of the table should know first."""
    notes = []
    if older := sum({(row.file, row.task): row.older for row in rows}.values()):
        notes.append(f"{older} older results of the same model, condition and task were left out")
    notes += sorted({f"{row.condition}: {text}" for row in rows for text in row.warnings})
    return notes


def _written(path: Path, made: Baseline, before: Baseline | None) -> list[str]:
    now = {value.key: value.value for value in made.values}
    old = {value.key: value.value for value in before.values} if before else {}
    moved = sum(old.get(key, value) != value for key, value in now.items())
    return [
        f"written to {path}: {len(now)} values, {len(now.keys() - old.keys())} new, {moved} moved, "
        f"{len(old.keys() - now.keys())} removed; {len(made.gates)} gates kept"
    ]
