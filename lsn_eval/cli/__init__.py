"""The `lsn-eval` command. Commands import what they need when they run, so that help is quick."""

from __future__ import annotations

import copy
import gc
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup
from typer.models import CommandInfo

from lsn_eval.cli import (
    bake,
    check,
    compare,
    demo,
    facts,
    fetch_masks,
    finetune,
    identify,
    judge,
    layers,
    mask,
    models,
    plot,
    record,
    report,
    run,
    score,
    settings_file,
    stats,
    sweep,
)
from lsn_eval.errors import LONGEST, LsnError
from lsn_eval.version import __version__
from lsn_eval.visible_text import shortened, visible


class _Commands(TyperGroup):
    """Prints an error that the user can mend as one message, exit status 2, no traceback; reads
    the options of any command from `--config FILE`."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **named: Any) -> Any:
        try:
            typed = list(sys.argv[1:] if args is None else args)
            rest, defaults = settings_file.without_settings_file(typed, self)
            return super().main(rest, *others, default_map=defaults, **named)
        except (LsnError, OSError) as error:
            if os.environ.get("LSN_EVAL_TRACEBACK") == "1":
                raise
            print(f"lsn-eval: error: {shortened(visible(str(error)), LONGEST)}", file=sys.stderr)
            sys.exit(2)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    context_settings={
        "help_option_names": ["-h", "--help"],
        # lm_eval writes options with underscores; fingers do, too.
        "token_normalize_func": lambda token: token.replace("_", "-"),
    },
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Record, identify and intervene on language-specific neurons, inside lm-eval.",
    epilog="Every command takes --config FILE.yaml with its options; those typed beside it win.",
)
app.command("demo")(demo.demo)
app.command("record")(record.record)
app.add_typer(stats.app, name="stats")
app.command("identify")(identify.identify)
app.add_typer(mask.app, name="mask")
app.command("fetch-masks")(fetch_masks.fetch_masks)
app.add_typer(models.app, name="models")
app.command("layers")(layers.layers)
app.command("score")(score.score)
app.command("judge")(judge.judge)
app.add_typer(facts.app, name="facts")
app.add_typer(plot.app, name="plot")
app.command("sweep")(sweep.sweep)
app.command("bake")(bake.bake)
app.command("finetune")(finetune.finetune)
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


def _typed() -> typer.Typer:
    """The command line as far as it was typed; of all other commands the help alone is built."""
    if "_LSN_EVAL_COMPLETE" in os.environ:  # a shell asks, and says elsewhere what was typed
        return app
    typed = copy.copy(app)
    words = [word.replace("_", "-") for word in sys.argv]
    for kind in ("registered_commands", "registered_groups"):
        entries = getattr(app, kind)
        chosen = [entry if entry.name in words else _help_of(entry) for entry in entries]
        setattr(typed, kind, chosen)
    return typed


def _help_of(entry: Any) -> Any:
    """A command without parameters, or a group without commands."""
    entry = copy.copy(entry)
    if isinstance(entry, CommandInfo):
        entry.help, entry.callback = entry.callback.__doc__, lambda: None
    else:
        entry.typer_instance = typer.Typer(help=entry.typer_instance.info.help)
    return entry


def main() -> None:
    """Entry point of the `lsn-eval` script."""
    try:
        _typed()()
    finally:
        gc.freeze()  # else all that torch made is looked through for cycles, two seconds
