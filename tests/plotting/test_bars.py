"""Bars before and after, with intervals of the change and controls."""

from __future__ import annotations

import math

import pytest
from builders.figures import artists, inside, notes
from builders.panels import large, panel

from lsn_eval.comparing import Draws
from lsn_eval.errors import LsnError
from lsn_eval.plotting import bars

PANEL = panel(
    {
        "none": {"de": 0.9, "zh": 0.8, "fr": 0.7},
        "de:zero": {"de": 0.3, "zh": 0.82, "fr": 0.71},
        "zh:zero": {"de": 0.9, "zh": 0.2},
    },
    scale="linear",
    metric="lsn_language_accuracy",
    intervals={("de:zero", "de"): (-0.7, -0.5)},
    controls={"de:zero": {"de": [-0.1, 0.0]}},
    refused=[("de:zero", "fr")],
)


def heights(axes, gid):
    return [patch.get_height() for patch in artists(axes, gid)]


def test_before_after_and_controls_stand_beside_each_other():
    figure = bars(PANEL)
    first, second = figure.axes
    (mark,) = artists(first, "controls")
    assert mark.get_ydata() == pytest.approx([0.85])
    assert not artists(second, "controls")
    shaded = [artists(axes, "own")[0].get_x() for axes in (first, second)]
    assert shaded == [-0.5, 0.5], "the condition's language"
    assert [axes.get_title("left") for axes in (first, second)] == ["de:zero", "zh:zero"]
    assert heights(first, "before") == [0.9, 0.8, 0.7]
    assert heights(first, "after") == [0.3, 0.82]
    assert heights(second, "after") == [0.9, 0.2]
    assert [label.get_text() for label in second.get_xticklabels()] == ["de", "zh", "fr"]
    assert first.get_ylim() == second.get_ylim()
    assert first.get_ylim()[0] == 0
    # Refused bars are hatched, and missing ones said.
    (refused,) = artists(first, "refused")
    assert refused.get_hatch()
    assert refused.get_height() == 0.71
    assert refused.get_facecolor()[:3] == (1, 1, 1)
    assert [text.get_text() for text in artists(second, "missing")] == ["–"]
    # A missing whisker is marked where others are.
    (ring,) = artists(first, "untested")
    assert [round(x) for x, _ in ring.get_offsets()] == [1]
    assert ring.get_linestyles()[0][1], "it is dashed"
    assert len(artists(second, "untested")) == 2
    assert "Dashed ring: no interval" in notes(figure)


def test_the_interval_is_of_the_change_from_the_baseline():
    figure = bars(PANEL, ["de:zero"], draws=Draws())
    (axes,) = figure.axes
    (line,) = artists(axes, "interval")
    (ends,) = line.get_segments()
    assert ends[:, 1] == pytest.approx([0.2, 0.4])
    said = notes(figure).replace("\n", " ")
    assert "interval of the change from the baseline" in said
    assert str(Draws()) in said


def test_intervals_of_perplexities_are_factors_and_few_documents_are_said():
    made = panel(
        {"none": {"de": 5.0}, "de:zero": {"de": 10.0}}, intervals={("de:zero", "de"): (0.5, 0.9)},
        documents=12,
    )  # fmt: skip
    (line,) = artists(bars(made).axes[0], "interval")
    assert line.get_segments()[0][:, 1] == pytest.approx([5 * math.exp(0.5), 5 * math.exp(0.9)])
    assert "Intervals of 12 documents are too short" in notes(bars(made))


def test_chosen_conditions_and_labels():
    figure = bars(PANEL, ["zh:zero"], labels={"zh": "Chinese"})
    (axes,) = figure.axes
    assert axes.get_title("left") == "zh:zero · Chinese"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["de", "Chinese", "fr"]
    assert not artists(axes, "untested"), "no whisker is there to be missed"
    assert "No intervals: samples were not logged" in notes(figure)


def test_errors():
    with pytest.raises(LsnError, match="fr:zero is not in .*; there are de:zero, zh:zero"):
        bars(PANEL, ["fr:zero"])
    with pytest.raises(LsnError, match="only the baseline"):
        bars(panel({"none": {"de": 1.0}}))


@pytest.mark.parametrize(("conditions", "languages"), [(1, 1), (12, 3), (4, 40), (20, 6)])
def test_everything_stays_inside_the_figure(conditions, languages):
    figure = bars(large(conditions, languages))
    assert len(figure.axes) == conditions
    inside(figure)
