"""A change without an interval does not look decided, and a line says why there is none."""

from __future__ import annotations

import pytest
from builders.figures import artists, axes_of, notes
from builders.panels import large, panel

from lsn_eval.plotting import heat_map
from lsn_eval.plotting.notes import remarks

ONE = {"none": {"de": 5.0}, "de:zero": {"de": 9.0}}
TESTED = {"intervals": {("de:zero", "de"): (0.4, 0.6)}}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (panel(ONE, **TESTED), None),
        (panel(ONE, **TESTED, documents=30), None),
        (panel(ONE, **TESTED, documents=29), "Intervals of 29 documents are too short"),
        (large(2, 2), "No intervals: samples were not logged"),
        *(
            (panel(ONE, obstacles={(place, "de"): "no test: cut off"}),
             "No intervals: the samples cannot be used")
            for place in ONE
        ),
    ],
)  # fmt: skip
def test_the_note_says_what_intervals_lack(made, said):
    """And no cell is ringed where all have one, or none has."""
    figure = heat_map(made)
    assert not artists(axes_of(figure, "changes"), "untested")
    note = notes(figure).replace("\n", " ")
    assert said in note if said else "nterval" not in note


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
