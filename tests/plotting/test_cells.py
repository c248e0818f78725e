"""Noise does not get the strongest colours: the scale has a least span."""

from __future__ import annotations

import math

import pytest
from builders.figures import mesh
from builders.panels import panel

from lsn_eval.plotting import heat_map
from lsn_eval.plotting.cells import colour_span

SMALL = {"none": {"de": 5.0, "zh": 6.0}, "de:zero": {"de": 5.005, "zh": 6.0}}


def limits(made):
    return mesh(heat_map(made), "changes").get_clim()


def test_perplexities_and_shares_span_a_tenth_at_least():
    shares = {"none": {"de": 0.02, "zh": 1.0}, "de:zero": {"de": 0.021, "zh": 1.0}}
    controlled = panel(SMALL, controls={"de:zero": {"de": [0.001]}})
    for made in (panel(SMALL), controlled, panel(shares, scale="linear")):
        assert limits(made) == (-0.1, 0.1)


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [({"de": 40.0, "zh": 30.0}, 4.0), ({"de": -40.0, "zh": 3.0}, 4.0), ({"de": 1.1, "zh": 0.5}, 0.11)],
)  # fmt: skip
def test_other_metrics_span_a_tenth_of_the_largest_baseline_at_least(baseline, expected):
    moved = {language: value + 0.01 for language, value in baseline.items()}
    made = panel({"none": baseline, "de:zero": moved}, scale="linear", metric="length")
    assert limits(made) == pytest.approx((-expected, expected))


def test_a_baseline_of_nothing_leaves_a_span():
    made = panel({"none": {"de": 0.0}, "de:zero": {"de": 20.0}}, scale="linear", metric="length")
    assert limits(made) == (-2.0, 2.0)


@pytest.mark.parametrize(("scale", "expected"), [("log", 0.1), ("linear", 0.6)])
def test_cells_that_are_no_numbers_have_no_part(scale, expected):
    values = {
        "none": {"de": 5.0, "zh": 6.0, "fr": math.nan},
        "de:zero": {"de": math.nan, "zh": 6.001, "fr": math.inf},
    }
    made = panel(values, scale=scale)
    assert limits(made) == pytest.approx((-expected, expected))
    assert math.isfinite(colour_span(made, [math.nan, None, -math.inf]))


def test_larger_changes_reach_the_end_of_the_scale():
    assert colour_span(panel(SMALL), [0.2, -0.7, None]) == 0.7
