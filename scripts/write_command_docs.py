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
