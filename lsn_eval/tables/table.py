"""`Table`: cells with what they show, what they are sorted by, and what is to be known of them."""

from __future__ import annotations

from dataclasses import dataclass

from lsn_eval.comparing.panels import SIGNS, Mark


@dataclass(frozen=True)
class Cell:
    """One cell."""

    text: str
    value: float | None = None
    """To sort by, unrounded; None for words."""
    mark: Mark = ""
    detail: str = ""
    """A sentence about it: interval, test, controls, or why it is refused."""

    @property
    def marked(self) -> str:
        """The text with its sign."""
        return self.text + SIGNS[self.mark]


@dataclass(frozen=True)
class Table:
    """A table with a title and notes. The first column names the rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    """Sentences below it: what is shown, the test, the meaning of signs, refusals."""
    signatures: tuple[str, ...] = ()
    """What the numbers were measured with, one a condition."""
