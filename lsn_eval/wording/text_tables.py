"""Rows of text as a table: aligned for a terminal, or Markdown that is aligned as well."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from lsn_eval.visible_text import one_line


def aligned(rows: Sequence[Sequence[str]], words: int | None = None) -> list[str]:
    """A line a row, two blanks between columns; text from outside cannot break it.

    Args:
        rows: of equal length, the heading first.
        words: so many columns stand left, the rest, which are numbers, right; without it all
            stand left.
    """
    return ["  ".join(cells).rstrip() for cells in _padded(rows, words)]


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Of GitHub, the first row its heading; the columns behind the first are numbers."""
    cells = _padded([[markdown_text(cell) for cell in row] for row in rows], 1)
    first, *rest = (max(3, columns(cell)) for cell in cells[0])
    rule = ["-" * first, *("-" * (width - 1) + ":" for width in rest)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:]))


_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>|~#&$"})


def markdown_text(text: str) -> str:
    """Text in which nothing means anything to Markdown."""
    return one_line(text).translate(_MARKDOWN).strip()


def columns(text: str) -> int:
    """How many a terminal takes for it: two for a wide character."""
    alone = [character for character in text if not unicodedata.combining(character)]
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in alone)


def _indented(text: str) -> str:
    """In one line, but for the blanks with which a row is set below another."""
    words = text.lstrip(" ")
    return " " * (len(text) - len(words)) + one_line(words)


def _padded(rows: Sequence[Sequence[str]], words: int | None) -> list[list[str]]:
    cells = [[_indented(cell) for cell in row] for row in rows]
    widths = [max(map(columns, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
            blank = " " * (width - columns(cell))
            row[place] = cell + blank if words is None or place < words else blank + cell
    return cells
