"""Write docs/commands.md from the help of every command: `python scripts/write_command_docs.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from typer.main import get_command
from typer.testing import CliRunner

from lsn_eval.cli import app

TARGET = Path(__file__).resolve().parents[1] / "docs" / "commands.md"
INTRODUCTION = """\
# Commands

Written by `scripts/write_command_docs.py` from the commands' own help.

Habits that all of them share:

- Lists are given repeatedly or with commas, `--language de,fr` or `--language de --language fr`.
- `--config FILE.yaml` holds the options of any command; those typed beside it win. Underscores in
  names will do.
- What took time or money (statistics, masks, grades, baked models) is never written over without
  `--force`; figures, tables and pages, which are made again in seconds, are. `demo` and
  `bake --force` replace no folder but their own, `sweep` and `finetune` go on in theirs, and
  `check --update` says what moved.
- `run`, `sweep` and `demo` keep what lm-eval and the libraries below it log off the screen, but for
  warnings; `LSN_EVAL_VERBOSE=1` shows all of it. `LSN_EVAL_TRACEBACK=1` shows where an error is
  from.
"""


def commands() -> Iterator[tuple[str, ...]]:
    """Every command that does something, as the words that call it."""

    def walk(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if hasattr(command, "commands"):
            for name, inner in command.commands.items():
                yield from walk(inner, (*words, name))
        else:
            yield words

    yield from walk(get_command(app), ())


def help_of(words: tuple[str, ...]) -> str:
    """The help text of one command, at a fixed width."""
    runner = CliRunner(env={"COLUMNS": "90", "TERMINAL_WIDTH": "90", "NO_COLOR": "1"})
    return runner.invoke(app, [*words, "--help"], prog_name="lsn-eval").output.strip()


def document() -> str:
    """The whole page."""
    sections = [INTRODUCTION]
    for words in commands():
        sections.append(f"## lsn-eval {' '.join(words)}\n\n```\n{help_of(words)}\n```\n")
    return "\n".join(sections)


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
