"""Rows of text as a table: aligned for a terminal, or Markdown that is aligned as well."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from lsn_eval.visible_text import one_line


def aligned(
    rows: Sequence[Sequence[str]], words: int | None = None, width: int | None = None
) -> list[str]:
    """A line a row, two blanks between columns; text from outside cannot break it.

    Args:
        rows: of equal length, the heading first.
        words: so many columns stand left, the rest, which are numbers, right; without it all
            stand left.
        width: of the screen, in columns. A wider table is cut: the columns that have no room
            follow below, beside the first columns again, as many as tell the rows apart.
    """
    cells = _padded(rows, words)
    names = next((n for n in range(1, len(cells[0])) if _all_differ(row[:n] for row in cells)), 1)
    blocks = _blocks([columns(cell) for cell in cells[0]], names, width)
    lines = [["  ".join([*row[:names], *row[part]]).rstrip() for row in cells] for part in blocks]
    return [line for block in lines for line in ["", *block]][1:]


def screen_width() -> int | None:
    """Columns of the terminal that is printed to; None for a file or a pipe, which get all."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


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


def _all_differ(rows: Iterable[Sequence[str]]) -> bool:
    keys = list(map(tuple, rows))
    return len(set(keys)) == len(keys)


def _blocks(widths: Sequence[int], names: int, width: int | None) -> Iterator[slice]:
    """Columns behind those that name the rows, as many as have room beside them, at least one."""
    beside = sum(widths[:names]) + 2 * (names - 1)
    start, taken = names, beside
    for place, needed in enumerate(widths[names:], names):
        if width is not None and place > start and taken + 2 + needed > width:
            yield slice(start, place)
            start, taken = place, beside
        taken += 2 + needed
    yield slice(start, len(widths))
