"""`lsn-eval demo`: the whole picture on the embedded model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for results files and the figure.",
            show_default="lsn_demo_results, or lsn_demo_quick",
        ),
    ] = None,
    controls: Annotated[
        int | None,
        typer.Option(
            help="Random controls per language; 19 can show p = .05.",
            show_default="5, or 2",
            min=1,
            max=999,
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Three of the six languages, perplexity alone.")
    ] = False,
) -> None:
    """Show what gets worse as languages are switched off.

    One sweep of the lsn_demo tasks: 'none', LANG:zero for every language, and random controls.
    Prints what changed; writes results files, a heat map and a report. Exit status 1 if the
    planted neurons do not show.

    Example: lsn-eval demo --controls 19
    """
    from lsn_eval.demo.demo import run_demo

    folder = out or Path("lsn_demo_quick" if quick else "lsn_demo_results")
    verdict = run_demo(folder, controls=controls or (2 if quick else 5), quick=quick)
    if any(verdict.shortcomings()):
        raise typer.Exit(1)
