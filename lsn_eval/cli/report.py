"""`lsn-eval report`: one HTML file about results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def report(
    results: Annotated[
        list[Path], typer.Argument(help="Results files of lm-eval, or folders that hold them.")
    ],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")],
    task: Annotated[
        list[str] | None,
        typer.Option(help="Tasks to report, by name or pattern; repeat.", show_default="all"),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Metrics to report; repeat.", show_default="all")
    ] = None,
    samples: Annotated[
        int, typer.Option(min=0, help="Documents of each generation task to show.")
    ] = 5,
    all_controls: Annotated[
        bool,
        typer.Option(
            "--all-controls", help="Show every random control, not their range and the first."
        ),
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            help="A setting that may differ from the baseline's, e.g. 'lm_eval'; repeat.",
            show_default="none",
        ),
    ] = None,
) -> None:
    """Write one HTML file about results: verdict, what was run, tables, figures, answers,
    signatures, and the commands that run it again.

    The file holds everything it needs and opens without a network. What a reader must know before
    using a number stands at its top and is printed as well.

    Example: lsn-eval report sweep/ --out report.html
    """
    from lsn_eval.reporting import ReportOptions, write_report
    from lsn_eval.visible_text import one_line
    from lsn_eval.wording.lists import counted

    options = ReportOptions(
        samples=samples,
        all_controls=all_controls,
        allow=tuple(allow or ()),
        tasks=tuple(task or ()),
        metrics=tuple(metric or ()),
    )
    written = write_report(results, out, options)
    for caution in written.cautions:
        print(one_line(f"{caution.title}: {caution.text}"), file=sys.stderr)
    print(one_line(written.headline))
    files, panels = counted(written.files, "file"), counted(written.panels, "panel")
    print(f"written to {out}: {files}, {panels}")
