"""Noise does not get the strongest colours: the scale has a least span."""

from __future__ import annotations

import math

import pytest
from builders.figures import mesh
from builders.panels import panel

from lsn_eval.plotting import heat_map
from lsn_eval.plotting.cells import colour_span

SMALL = {"none": {"de": 5.0, "zh": 6.0}, "de:zero": {"de": 5.005, "zh": 6.0}}
SHARES = {"none": {"de": 0.02, "zh": 1.0}, "de:zero": {"de": 0.021, "zh": 1.0}}
ODD = {
    "none": {"de": 5.0, "zh": 6.0, "fr": math.nan},
    "de:zero": {"de": math.nan, "zh": 6.001, "fr": math.inf},
}


def lengths(baseline, change=0.01):
    moved = {language: value + change for language, value in baseline.items()}
    return panel({"none": baseline, "de:zero": moved}, scale="linear", metric="length")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        # Perplexities and shares span a tenth at least.
        (panel(SMALL), 0.1),
        (panel(SMALL, controls={"de:zero": {"de": [0.001]}}), 0.1),
        (panel(SHARES, scale="linear"), 0.1),
        # Other metrics span a tenth of the largest baseline.
        (lengths({"de": 40.0, "zh": 30.0}), 4.0),
        (lengths({"de": -40.0, "zh": 3.0}), 4.0),
        (lengths({"de": 1.1, "zh": 0.5}), 0.11),
        (lengths({"de": 0.0}, 20.0), 2.0),  # a baseline of nothing leaves a span
        # Cells that are no numbers have no part.
        (panel(ODD), 0.1),
        (panel(ODD, scale="linear"), 0.6),
    ],
)
def test_the_least_span_of_the_colours(made, expected):
    assert mesh(heat_map(made), "changes").get_clim() == pytest.approx((-expected, expected))


def test_larger_changes_reach_the_end_of_the_scale():
    assert colour_span(panel(SMALL), [0.2, -0.7, None]) == 0.7
    assert math.isfinite(colour_span(panel(ODD), [math.nan, None, -math.inf]))
