"""`PARAMETER=VALUES`: the values of a parameter to make one mask each of.

Values are numbers and ranges, separated by commas: `0.01,0.02,0.05`; `0.01..0.10` or
`0.01..0.10:0.02` in steps; `0.001..0.1:x2` by a factor; `0.001..0.1:5log` so many, geometrically.
`:` may stand for `..`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from decimal import Decimal
from itertools import count, islice, takewhile
from pathlib import Path
from typing import Any

from lsn_eval.identification import method_parameters
from lsn_eval.identification.selection import IdentificationError

_NUMBER = r"(?:\d+\.?\d*|\.\d+)"
_VALUES = re.compile(
    rf"({_NUMBER})(?:(?:\.\.|:)({_NUMBER})(?::(?:x({_NUMBER})|(\d{{1,4}})log|({_NUMBER})))?)?"
)
MOST = 1000
"""Masks that one sweep may make; more is taken for a mistake in the step."""
_DIGITS = 4
"""Of a value between the ends of a geometric range."""


def parse_sweep(method: str, text: str, given: Collection[str] = ()) -> list[dict[str, Any]]:
    """One dictionary {parameter: value} for each value, each once; see the top of the module.

    TO is included, STEP is FROM by default. Values are counted in decimal, so that 0.01..0.10
    means 0.01, 0.02, ..., 0.10 exactly.

    Args:
        given: names of parameters that already have a value.

    Raises:
        IdentificationError: it cannot be read, or names no number of the method's.
    """

    def refusal(reason: str) -> IdentificationError:
        return IdentificationError(f"--sweep {text!r}: {reason}")

    parameter, _, listed = text.strip().partition("=")
    name = parameter.replace("-", "_")
    ranges = [_VALUES.fullmatch(part.strip()) for part in listed.split(",")]
    if not name or None in ranges:
        raise refusal(
            "PARAMETER=FROM..TO[:STEP] was expected, or FROM..TO:xFACTOR, FROM..TO:COUNTlog, or a "
            "list, e.g. top_rate=0.01..0.10:0.01 or top_rate=0.01,0.02,0.05"
        )
    defaults = method_parameters(method)
    numeric = [known for known, default in defaults.items() if type(default) in (int, float)]
    if name not in numeric:
        raise refusal(f"{method} has no number {name!r}; it has {', '.join(numeric) or 'none'}")
    if name in given:
        raise IdentificationError(f"{name} is swept and given a value as well; leave one out")
    whole = isinstance(defaults[name], int)
    values: dict[Decimal, None] = {}
    for match in filter(None, ranges):
        first, last = Decimal(match[1]), Decimal(match[2] or match[1])
        if last < first:
            raise refusal("TO must not be below FROM")
        try:
            values |= dict.fromkeys(islice(_values(first, last, *match.group(3, 4, 5)), MOST + 1))
        except ValueError as error:
            raise refusal(str(error)) from error
        if len(values) > MOST:
            raise refusal(f"at most {MOST} masks are made")
    if whole and any(value != value.to_integral_value() for value in values):
        raise refusal(f"{name} takes whole numbers")
    return [{name: int(value) if whole else float(value)} for value in values]


def _values(
    first: Decimal, last: Decimal, factor: str | None, number: str | None, step: str | None
) -> Iterator[Decimal]:
    """From `first` to `last`; ValueError where that has no end."""
    if first == last:
        return iter([first])
    if number is not None:
        if int(number) < 2 or not first:
            raise ValueError("COUNTlog takes at least 2 values, and FROM above 0")
        exponents = (Decimal(n) / (int(number) - 1) for n in range(1, int(number) - 1))
        inner = (f"{first * (last / first) ** exponent:.{_DIGITS}g}" for exponent in exponents)
        return iter([first, *map(Decimal, inner), last])
    if factor is not None:
        times = Decimal(factor)
        if times <= 1 or not first:
            raise ValueError("FACTOR must be above 1, and FROM above 0")
        return takewhile(last.__ge__, (first * times**n for n in count()))
    by = Decimal(step) if step else first
    if not by:
        raise ValueError("STEP (FROM, if not given) must be above 0")
    return takewhile(last.__ge__, (first + by * n for n in count()))


def swept_path(out: Path, point: dict[str, Any]) -> Path:
    """The file of one value: `lape.safetensors` becomes `lape.top_rate-0.02.safetensors`."""
    ending = "".join(f".{name}-{value}" for name, value in point.items())
    return out.with_name(f"{out.stem}{ending}{out.suffix}")
