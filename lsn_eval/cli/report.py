"""`lsn-eval report`: one HTML file about results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lsn_eval.cli import options

MOST_VERDICTS = 12
"""Lines that are printed; the rest are counted."""


@options.sharing(options.chosen)
def report(
    results: options.Results,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")],
    by: Annotated[
        str,
        typer.Option(help="condition: what conditions changed. model: a leaderboard to publish."),
    ] = "condition",
    metric: options.AllMetrics = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Documents of each generation task to show.",
            show_default="as many as a page holds",
        ),
    ] = None,
    all_controls: Annotated[
        bool,
        typer.Option(
            "--all-controls", help="Show every random control, not their range and the first."
        ),
    ] = False,
    allow: options.Allow = None,
    **chosen: Any,
) -> None:
    """Write one HTML file about results.

    Verdict, heat maps, tables, answers, what was run, signatures, and the commands that run it
    again. The file holds everything it needs and opens without a network. What a reader must know
    before using a number stands at its top and is printed as well.

    Example: lsn-eval report sweep/ --out report.html

    Example: lsn-eval report everybody/ --by model --out index.html
    """
    from lsn_eval.reporting import report as write_report
    from lsn_eval.visible_text import one_line
    from lsn_eval.wording.lists import counted

    written = write_report(
        results, out, by=by, samples=samples, all_controls=all_controls, allow=allow or (),
        metric=metric, **chosen,
    )  # fmt: skip
    for caution in written.cautions:
        print(one_line(f"{caution.title}: {caution.text}"), file=sys.stderr)
    for verdict in written.verdicts[:MOST_VERDICTS]:
        print(one_line(verdict))
    if (more := len(written.verdicts) - MOST_VERDICTS) > 0:
        print(f"and {counted(more, 'further line')} in the report")
    files, panels = counted(written.files, "file"), counted(written.panels, "panel")
    print(f"written to {out}: {files}, {panels}")
