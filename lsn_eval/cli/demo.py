"""`lsn-eval demo`: the whole picture on the embedded model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder for results files and the figure.")] = Path(
        "lsn_demo_results"
    ),
    controls: Annotated[
        int, typer.Option(help="Random controls per language; 19 can show p = .05.", min=1, max=999)
    ] = 5,
) -> None:
    """Switch off each language of the embedded model and show what gets worse.

    One sweep of the lsn_demo tasks: 'none', LANG:zero for every language, and random controls.
    Prints what changed; writes results files, a heat map and a report. Exit status 1 if the
    planted neurons do not show.

    Example: lsn-eval demo --controls 19
    """
    from lsn_eval.demo.demo import run_demo

    if any(run_demo(out, controls=controls).shortcomings()):
        raise typer.Exit(1)
