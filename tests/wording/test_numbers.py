"""How numbers are written."""

from __future__ import annotations

import math

import pytest

from lsn_eval.wording.numbers import (
    exact,
    finite,
    interval,
    p_value,
    percent,
    plain,
    selectivity,
    signed,
    span,
)


@pytest.mark.parametrize(
    ("write", "number", "written"),
    [
        (plain, 0.12345, "0.123"), (plain, 3.14159, "3.14"), (plain, 12345.6, "12,346"),
        (plain, -0.0001, "-0.000"), (plain, None, ""), (plain, 3.2e12, "3.2e+12"),
        (plain, math.inf, "inf"), (plain, 9999.994, "9999.99"),
        (signed, 0.5, "+0.500"), (signed, -0.5, "-0.500"), (signed, 0.0, "0.000"),
        (signed, -0.00001, "0.000"), (signed, 2.0, "+2.00"),
        (selectivity, 0.5, "+0.500"), (selectivity, -0.0004, "0.000"), (selectivity, 0.0, "0.000"),
        (percent, 0.0004, "0.0"), (percent, -0.0004, "0.0"), (percent, 1.959, "+195.9"),
        (percent, -0.05, "-5.0"), (percent, 3e9, "+3e+11"),
        (p_value, 1.0, "1"), (p_value, 0.05, "0.05"), (p_value, 0.0036, "0.0036"),
        (p_value, 0.00012, "0.00012"), (p_value, 0.00001, "1e-05"), (p_value, None, ""),
        (exact, 3.14159265, "3.14159"), (exact, None, ""),
    ],
)  # fmt: skip
def test_numbers(write, number, written):
    assert write(number) == written


def test_pairs_of_numbers():
    assert interval((-0.5, 2.0), signed) == "[-0.500, +2.00]"
    assert interval(None, signed) == ""
    assert span([3.0, 1.0, 2.0], plain) == "1.00 to 3.00"
    assert span([], plain) == ""


def test_a_document_for_json_has_no_nan():
    assert finite({"a": [1.5, math.nan, (-math.inf, "x")]}) == {"a": [1.5, None, [None, "x"]]}
