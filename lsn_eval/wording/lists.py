"""Lists and counts in a sentence."""

from __future__ import annotations

from collections.abc import Iterable


def listed(names: Iterable[object], most: int = 6, separator: str = ", ") -> str:
    """`a, b, c`; of more than `most` the first, then `and 4 more`."""
    texts = list(map(str, names))
    rest = f" and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + rest


def counted(number: int, noun: str) -> str:
    """`1 control`, `2 controls`, `12,000 controls`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
