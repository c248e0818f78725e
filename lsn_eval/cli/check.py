"""`lsn-eval check`: results against a committed baseline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lsn_eval.cli import options
from lsn_eval.visible_text import visible


@options.sharing(options.chosen)
def check(
    results: options.Results,
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
    metric: Annotated[list[str] | None, options.metrics("all, or those of the baseline")] = None,
    allow: options.Allow = None,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML to write.")] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Print GitHub annotations as well.")
    ] = False,
    as_json: options.AsJson = False,
    **chosen: Any,
) -> None:
    """Compare results with a committed baseline.

    For continuous integration. Exit status 0: nothing got worse. 1: something moved, is missing,
    was measured with something else, or misses a gate. 2: the input cannot be used. With --update
    the baseline holds what is chosen, and remembers the metrics.

    Example: lsn-eval check results/ --baseline baseline.json

    Example: lsn-eval check results/ --baseline baseline.json --update --metric token_perplexity
    """
    from lsn_eval.checking import check as check_results
    from lsn_eval.checking import formats
    from lsn_eval.checking.baselines import BaselineError
    from lsn_eval.storage.whole_files import check_place, whole_file

    if as_json and github:
        raise BaselineError("--json and --github both write to standard output; give one of them")
    if junit is not None:
        check_place(junit, BaselineError)
    result = check_results(
        results, baseline, allow=allow or (), update=update, tolerance=tolerance,
        metric=metric, **chosen,
    )  # fmt: skip
    if junit is not None:
        with whole_file(junit, BaselineError) as file:
            file.write(formats.junit(result.findings, baseline))
    if as_json:
        print(json.dumps(result.to_json(), indent=2))
    else:
        print("\n".join([*map(visible, result.notes), formats.table(result)]))
    if github:
        print("\n".join(formats.github(result.findings, baseline)))
    if not result.passed:
        raise typer.Exit(1)
