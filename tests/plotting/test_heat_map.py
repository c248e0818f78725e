"""The heat map shows every number of its panel, and says which of them to trust."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders.figures import PANEL, VALUES, artists, axes_of, cells, inside, mesh, notes
from builders.panels import large, panel

from lsn_eval.comparing import Draws
from lsn_eval.errors import LsnError
from lsn_eval.plotting import heat_map
from lsn_eval.plotting.style import percent_ticks, shortened


@pytest.fixture(scope="module")
def figure():
    return heat_map(PANEL, draws=Draws())


def test_cells_are_relative_changes_of_perplexities(figure):
    main = axes_of(figure, "changes")
    assert [label.get_text() for label in main.get_yticklabels()] == list(VALUES)[1:]
    assert [label.get_text() for label in main.get_xticklabels()] == ["de", "zh", "fr"]
    assert cells(main) == {
        (0, 0): "+100.0%", (0, 1): "+0.5%", (0, 2): "0.0%",
        (1, 0): "+2.0%", (1, 1): "−25.0%",
        (2, 0): "+80.0%", (2, 1): "+12.5%",
    }  # fmt: skip
    baseline = axes_of(figure, "baseline")
    assert cells(baseline) == {(0, 0): "5.00", (0, 1): "8.00", (0, 2): "4.00"}


def test_cells_are_differences_of_other_metrics():
    made = panel(
        {"none": {"de": 0.9, "zh": 0.0}, "de:zero": {"de": 0.4, "zh": 0.25}},
        scale="linear", metric="acc",
    )  # fmt: skip
    main = axes_of(heat_map(made), "changes")
    # The baseline made by hand is absent where it is 0.
    assert cells(main) == {(0, 0): "−0.500"}
    assert cells(axes_of(heat_map(made), "baseline")) == {(0, 0): "0.900", (0, 1): "0.000"}


def test_colours_are_symmetric_about_no_change_and_reach_the_largest(figure):
    low, high = mesh(figure, "changes").get_clim()
    assert (low, high) == pytest.approx((-math.log(2), math.log(2)))
    assert mesh(figure, "controls").get_clim() == (low, high)
    middle = mesh(figure, "changes").get_cmap()(0.5)
    assert min(middle[:3]) > 0.95
    # A large control sets them, too.
    made = panel(
        {"none": {"de": 5.0}, "de:zero": {"de": 5.5}}, controls={"de:zero": {"de": [2.0, 0.1]}}
    )
    assert mesh(heat_map(made), "changes").get_clim() == (-2.0, 2.0)


def test_controls_are_those_on_the_rows_own_language(figure):
    side = axes_of(figure, "controls")
    shown = artists(side, "cells")[0].get_array().filled(math.nan).ravel()
    expected = max(PANEL.change("de:zero", "de").controls.values())  # a rise is large
    np.testing.assert_array_equal(shown, [expected, math.nan, math.nan])
    assert cells(side) == {(0, 0): "+2.0%"}
    assert [label.get_text() for label in side.get_yticklabels()] == ["of 3", "–", "–"]


@pytest.mark.slow
def test_a_condition_about_several_languages_has_no_count_of_controls():
    both = "de:zero/zh:zero"
    values = {"none": {"de": 5.0}, "de:zero": {"de": 9.0}, both: {"de": 9.0}}
    made = panel(values, controls={"de:zero": {"de": [0.01]}, both: {"de": [0.02, 0.03]}})
    side = axes_of(heat_map(made), "controls")
    assert [label.get_text() for label in side.get_yticklabels()] == ["of 1", "–"]
    alone = panel(values, controls={both: {"de": [0.02, 0.03]}})
    assert axes_of(heat_map(alone), "controls") is None


def test_cells_are_hatched_dotted_ringed_and_framed(figure):
    main = axes_of(figure, "changes")
    (refused,) = artists(main, "refused")
    assert refused.get_hatch()
    assert refused.get_xy() == (1.5, 1.5)
    assert np.ma.getmaskarray(artists(main, "cells")[0].get_array())[2, 2]
    assert "hatched" in notes(figure)
    assert "hatched" not in notes(heat_map(large(2, 2)))
    (dots,) = artists(main, "missing")
    assert dots.get_offsets().tolist() == [[2.0, 1.0]]
    (rings,) = artists(main, "undecided")
    found = {(round(y), round(x)) for x, y in rings.get_offsets()}
    assert found == {(0, 1), (1, 1)}
    assert "ring: the interval holds 0" in notes(figure)
    frames = artists(main, "own")
    assert [frame.get_xy() for frame in frames] == [(-0.5, -0.5), (0.5, 0.5)]
    # Without an interval where others have one.
    (rings,) = artists(main, "untested")
    found = {(round(y), round(x)) for x, y in rings.get_offsets()}
    assert found == {(0, 2), (1, 0), (2, 0), (2, 1)}
    assert rings.get_linestyles()[0][1], "it is dashed"
    assert "Dashed ring: no interval" in notes(figure)


def test_signature_and_test_are_named(figure):
    said = notes(figure)
    assert (
        "model:made|dtype:float32|mask:sha256-abc|method:lape|condition:*|hookpoint:mlp.act|"
        "data:ppl_*:1.0|v0.1.0"
    ) in said.replace("\n", "")
    assert str(Draws()) in said.replace("\n", " ")
    assert "resamples" not in notes(heat_map(large(2, 2), draws=Draws()))
    assert "condition:l00:x0.001|" in notes(heat_map(large(1, 2))).replace("\n", "")


def test_labels_name_columns_and_stand_beside_conditions():
    main = axes_of(heat_map(PANEL, labels={"de": "Deutsch"}), "changes")
    assert [label.get_text() for label in main.get_xticklabels()] == ["Deutsch", "zh", "fr"]
    assert main.get_yticklabels()[0].get_text() == "de:zero · Deutsch"
    assert main.get_yticklabels()[2].get_text() == "de:zero/zh:zero"


def test_a_panel_of_the_baseline_alone_is_refused():
    with pytest.raises(LsnError, match="only the baseline"):
        heat_map(panel({"none": {"de": 5.0}}))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (80, 40), (3, 40), (80, 1), (21, 20)])
def test_everything_stays_inside_the_figure(rows, columns):
    figure = heat_map(large(rows, columns), draws=Draws())
    inside(figure)
    main = axes_of(figure, "changes")
    assert len(main.get_yticklabels()) == rows
    assert len(main.texts) == (rows * columns if rows * columns <= 1800 else 0)


@pytest.mark.slow
def test_odd_panels_are_drawn():
    long = "/".join(f"{code}:x0.123456" for code in ("de", "en", "zh", "ru", "nl", "ar"))
    made = panel(
        {
            "none": {"de": 5.0, "zh": math.nan, "a_task_without_a_language_of_a_very_long_name": 1},
            f"{long}1": {"de": 5e9, "zh": 4.0},
            f"{long}2": {"de": math.nan, "zh": 3.0},
        },
        model="/home/" + "x" * 200,
    )
    figure = heat_map(made)
    inside(figure)
    names = [label.get_text() for label in axes_of(figure, "changes").get_yticklabels()]
    assert len(set(names)) == 2
    assert all(len(name) < 50 for name in names)
    assert len(artists(axes_of(figure, "changes"), "refused")) == 3


def test_shortened_names_differ():
    names = shortened(["x" * 60 + str(n) + "y" * 60 for n in range(3)] + ["short"], 20)
    assert len(set(names)) == 4
    assert names[3] == "short"
    assert names[0] == "xxxxxxxxx…yyyyyyyyy (1)"


@pytest.mark.parametrize("limit", [1e-4, 0.01, 0.5, 1.1, 5.0, 14.0])
def test_ticks_are_inside_and_on_both_sides(limit):
    ticks = percent_ticks(limit)
    shifts = [math.log1p(tick) for tick in ticks]
    assert 0.0 in ticks
    assert min(shifts) < 0 < max(shifts)
    assert max(map(abs, shifts)) <= limit
    assert len(ticks) <= 11
