"""`Shown`: an object as a title and a small table, in text and in a notebook."""

from __future__ import annotations

import html

from lsn_eval.visible_text import one_line
from lsn_eval.wording.text_tables import aligned

MOST = 12
"""Rows below the heading, and columns; the rest is counted."""


class Shown:
    """Base of what people look at. Text from outside is made harmless here, and nowhere else."""

    def summary(self) -> tuple[str, list[list[str]]]:
        """A title, and rows of cells, the heading first."""
        raise NotImplementedError

    def __repr__(self) -> str:
        title, rows, rest = self._cut()
        head = f"<{type(self).__name__} {one_line(title)}>"
        return "\n  ".join([head, *aligned(rows), *rest])

    def _repr_html_(self) -> str:
        title, (head, *body), rest = self._cut()
        lines = [_row("th", head), *(_row("td", row) for row in body)]
        below = "".join(f"<p>{line}</p>" for line in rest)
        table = f"<table>{''.join(lines)}</table>"
        return f"<div><strong>{_escaped(title)}</strong>{table}{below}</div>"

    def _cut(self) -> tuple[str, list[list[str]], list[str]]:
        title, rows = self.summary()
        more = {"rows": len(rows) - 1 - MOST, "columns": len(rows[0]) - 1 - MOST}
        rest = [f"and {number:,} more {what}" for what, number in more.items() if number > 0]
        return title, [row[: MOST + 1] for row in rows[: MOST + 1]], rest


def _row(tag: str, cells: list[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_escaped(cell)}</{tag}>' for cell in cells)}</tr>"


def _escaped(text: str) -> str:
    return html.escape(one_line(text))
