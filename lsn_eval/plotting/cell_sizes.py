"""How large the cells of a heat map are, by how many there are."""

from __future__ import annotations

from dataclasses import dataclass

NUMBERED = 1800
"""Cells beyond which numbers in them would make a poster of the figure."""


@dataclass(frozen=True)
class CellSizes:
    """In inches and points, by how much there is to show."""

    width: float
    height: float
    points: float
    """Of the numbers in cells; 0 for none."""

    @staticmethod
    def of(rows: int, columns: int) -> CellSizes:
        """For so many cells."""
        if rows * columns > NUMBERED:
            return CellSizes(0.24, 0.17, 0.0)
        if columns <= 12:
            return CellSizes(0.74, 0.42 if rows <= 20 else 0.3, 8.5 if rows <= 20 else 7.5)
        return CellSizes(0.5, 0.26, 6.0) if columns <= 24 else CellSizes(0.42, 0.22, 5.0)
