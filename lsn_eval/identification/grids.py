"""`PARAMETER=FROM..TO[:STEP]`: the values of a parameter to make one mask each of."""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Any

from lsn_eval.identification import method_parameters
from lsn_eval.identification.selection import IdentificationError

_SWEEP = re.compile(r"([A-Za-z_0-9-]+)=([0-9.]+?)\.\.([0-9.]+?)(?::([0-9.]+))?")
MOST = 1000
"""Masks that one sweep may make; more is taken for a mistake in the step."""


def parse_sweep(method: str, text: str, given: Collection[str] = ()) -> list[dict[str, Any]]:
    """One dictionary {parameter: value} for each value; TO is included, STEP is FROM by default.

    Values are counted in decimal, so that 0.01..0.10 means 0.01, 0.02, ..., 0.10 exactly.

    Args:
        given: names of parameters that already have a value.

    Raises:
        IdentificationError: it cannot be read, or names no number of the method's.
    """

    def refusal(reason: str) -> IdentificationError:
        return IdentificationError(f"--sweep {text!r}: {reason}")

    match = _SWEEP.fullmatch(text.strip())
    expected = "PARAMETER=FROM..TO[:STEP] was expected, e.g. top_rate=0.01..0.10:0.01"
    if match is None:
        raise refusal(expected)
    name = match[1].replace("-", "_")
    defaults = method_parameters(method)
    numeric = [known for known, default in defaults.items() if type(default) in (int, float)]
    if name not in numeric:
        raise refusal(f"{method} has no number {name!r}; it has {', '.join(numeric) or 'none'}")
    if name in given:
        raise IdentificationError(f"{name} is swept and given a value as well; leave one out")
    try:
        first, last = Decimal(match[2]), Decimal(match[3])
        step = Decimal(match[4]) if match[4] else first
    except ArithmeticError as error:
        raise refusal(expected) from error
    if step <= 0 or last < first:
        raise refusal("TO must not be below FROM, and STEP (FROM, if not given) must be above 0")
    count = int((last - first) / step) + 1
    if count > MOST:
        raise IdentificationError(f"--sweep {text!r} makes {count} masks; at most {MOST} are made")
    whole = isinstance(defaults[name], int)
    values = [first + step * number for number in range(count)]
    if whole and any(value != value.to_integral_value() for value in values):
        raise refusal(f"{name} takes whole numbers")
    return [{name: int(value) if whole else float(value)} for value in values]


def swept_path(out: Path, point: dict[str, Any]) -> Path:
    """The file of one value: `lape.safetensors` becomes `lape.top_rate-0.02.safetensors`."""
    ending = "".join(f".{name}-{value}" for name, value in point.items())
    return out.with_name(f"{out.stem}{ending}{out.suffix}")
