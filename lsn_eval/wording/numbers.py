"""How numbers are written wherever a reader meets them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any


def plain(number: float | None) -> str:
    """Two decimals, three below 1, none from 10,000 on, three digits from ten million on."""
    if number is None:
        return ""
    if not math.isfinite(number):
        return str(number)
    size = abs(number)
    if size >= 10_000_000:
        return f"{number:.3g}"
    return f"{number:,.0f}" if size >= 10_000 else f"{number:.2f}" if size >= 1 else f"{number:.3f}"


def exact(number: float | None) -> str:
    """Six significant digits: where a small difference is the point."""
    return "" if number is None else f"{number:.6g}"


def signed(number: float) -> str:
    """As `plain`, with its sign."""
    text = plain(number)
    return _zero_unsigned(text if text.startswith("-") else f"+{text}")


def percent(change: float) -> str:
    """A relative change in percent with one decimal and a sign, 0.0 where it rounds to nothing."""
    if abs(change) >= 100_000:
        return f"{100 * change:+.3g}"
    return _zero_unsigned(f"{100 * change:+,.1f}")


def selectivity(number: float) -> str:
    """Three decimals with a sign, 0.000 where it rounds to nothing."""
    return _zero_unsigned(f"{number:+.3f}")


def _zero_unsigned(text: str) -> str:
    return text if text.strip("+-0.,") else text[1:]


def p_value(p: float | None) -> str:
    """Two significant digits, all of them a test can show."""
    if p is None:
        return ""
    return f"{p:.2g}" if p >= 0.0001 else f"{p:.0e}"


def interval(ends: tuple[float, float] | None, write: Callable[[float], str]) -> str:
    """`[low, high]`."""
    return "" if ends is None else f"[{write(ends[0])}, {write(ends[1])}]"


def span(numbers: Sequence[float], write: Callable[[float], str]) -> str:
    """`smallest to largest`."""
    return f"{write(min(numbers))} to {write(max(numbers))}" if numbers else ""


def finite(value: Any) -> Any:
    """A document of JSON types as JSON can hold it: a number that is not finite is None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return value
