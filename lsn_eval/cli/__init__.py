"""The `lsn-eval` command. Commands import what they need when they run, so that help is quick."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from lsn_eval.cli import (
    check,
    compare,
    demo,
    identify,
    judge,
    mask,
    plot,
    record,
    report,
    run,
    stats,
    sweep,
)
from lsn_eval.errors import LsnError
from lsn_eval.version import __version__


class _PlainErrors(TyperGroup):
    """Prints an error that the user can mend as one message, exit status 2, no traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except (LsnError, OSError) as error:
            if os.environ.get("LSN_EVAL_TRACEBACK") == "1":
                raise
            print(f"lsn-eval: error: {error}", file=sys.stderr)
            sys.exit(2)


app = typer.Typer(
    cls=_PlainErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Record, identify and intervene on language-specific neurons, inside lm-eval.",
)
app.command("demo")(demo.demo)
app.command("record")(record.record)
app.add_typer(stats.app, name="stats")
app.command("identify")(identify.identify)
app.add_typer(mask.app, name="mask")
app.command("judge")(judge.judge)
app.add_typer(plot.app, name="plot")
app.command("sweep")(sweep.sweep)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("check")(check.check)
app.command(
    "run",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
    add_help_option=False,
)(run.run)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"lsn-eval {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def main() -> None:
    """Entry point of the `lsn-eval` script."""
    app()
