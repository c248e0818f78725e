"""A change without an interval does not look decided, and a line says why there is none."""

from __future__ import annotations

import pytest
from builders.figures import PANEL, artists, axes_of, notes
from builders.panels import large, panel

from lsn_eval.plotting import heat_map
from lsn_eval.plotting.notes import remarks


def test_cells_without_an_interval_have_a_dashed_ring_where_others_have_one():
    (rings,) = artists(axes_of(heat_map(PANEL), "changes"), "untested")
    found = {(round(y), round(x)) for x, y in rings.get_offsets()}
    assert found == {(0, 2), (1, 0), (2, 0), (2, 1)}
    assert rings.get_linestyles()[0][1], "it is dashed"
    assert "Dashed ring: no interval" in notes(heat_map(PANEL))


def test_where_every_cell_has_an_interval_there_is_no_dashed_ring():
    values = {"none": {"de": 5.0}, "de:zero": {"de": 9.0}}
    figure = heat_map(panel(values, intervals={("de:zero", "de"): (0.4, 0.6)}))
    assert not artists(axes_of(figure, "changes"), "untested")
    assert "interval" not in notes(figure)


def test_without_any_interval_the_note_says_so():
    figure = heat_map(large(2, 2))
    assert not artists(axes_of(figure, "changes"), "untested")
    assert "No intervals: samples were not logged" in notes(figure)
    values = {"none": {"de": 5.0}, "de:zero": {"de": 9.0}}
    for place in values:
        cut = panel(values, obstacles={(place, "de"): "no test: cut off"})
        assert "No intervals: the samples cannot be used" in notes(heat_map(cut)), place


@pytest.mark.parametrize(("documents", "warned"), [(29, True), (30, False), (None, False)])
def test_intervals_of_few_documents_are_said_to_be_too_short(documents, warned):
    made = panel(
        {"none": {"de": 5.0}, "de:zero": {"de": 9.0}},
        intervals={("de:zero", "de"): (0.4, 0.6)}, documents=documents,
    )  # fmt: skip
    said = notes(heat_map(made)).replace("\n", " ")
    assert (f"Intervals of {documents} documents are too short" in said) == warned


def test_why_cells_have_no_interval_is_said():
    values = {"none": {"de": 5.0, "zh": 6.0}, "de:zero": {"de": 9.0, "zh": 6.2}}
    intervals = {("de:zero", "zh"): (0.0, 0.1)}
    assert remarks([panel(values, intervals=intervals)]) == [
        "de:zero on de: no interval, the samples of it or of none were not logged (--log_samples)"
    ]
    for place in values:
        why = {(place, "de"): "no test: cut off"}
        note = f"{place} on de: no test: cut off"
        made = panel(values, intervals=intervals, obstacles=why, notes=[note])
        assert remarks([made, made]) == [note]
    assert remarks([panel(values)]) == [], "the note below the figure says it of all"
