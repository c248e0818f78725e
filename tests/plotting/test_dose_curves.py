"""Dose curves: what the dose is, and what is drawn of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from builders.figures import artists, inside, notes
from builders.panels import large, panel

from lsn_eval.comparing import Draws
from lsn_eval.errors import LsnError
from lsn_eval.plotting import dose_curves
from lsn_eval.plotting.doses import families, varying
from lsn_eval.plotting.style import UNTOUCHED, line_look

NONE = {"de": 5.0, "zh": 6.0}
SCALED = panel(
    {
        "none": NONE,
        "de:zero": {"de": 20.0, "zh": 6.2},
        "de:x0.5": {"de": 8.0, "zh": 6.1},
        "de:x0.25": {"de": 12.0, "zh": 6.1},
        "zh:x0.5": {"de": 5.1, "zh": 9.0},
        "de:mean": {"de": 5.2, "zh": 6.0},
    },
    intervals={
        ("de:zero", "de"): (1.0, 1.5),
        ("de:x0.5", "de"): (0.4, 0.5),
        ("de:x0.25", "de"): (0.8, 0.9),
    },
    controls={"de:x0.5": {"de": [0.01, 0.02], "zh": [0.3, 0.3]}},
    refused=[("de:x0.5", "zh")],
)


def masks(sizes):
    return [
        panel({"none": NONE, "de:zero": {"de": 5.0 + n, "zh": 6.0}}, neurons={"de:zero": size}, mask=f"sha256-m{n}")
        for n, size in enumerate(sizes, start=1)
    ]  # fmt: skip


def line(axes, language):
    (found,) = artists(axes, f"line {language}")
    return found


@pytest.fixture(scope="module")
def figure():
    return dose_curves([SCALED], draws=Draws())


def test_a_line_a_language_from_zero_to_the_baseline(figure):
    german, chinese = figure.axes
    assert [axes.get_title("left") for axes in figure.axes] == ["de", "zh"]
    assert line(german, "de").get_xdata().tolist() == [0, 0.25, 0.5, 1]
    assert line(german, "de").get_ydata() == pytest.approx([20, 12, 8, 5])
    assert line(chinese, "zh").get_xydata() == pytest.approx(np.array([[0.5, 9], [1, 6]]))
    assert german.get_ylim() == chinese.get_ylim()
    assert line(german, "de").get_linewidth() > line(german, "zh").get_linewidth()
    baselines = artists(german, "baseline")
    assert sorted(item.get_ydata()[0] for item in baselines) == [5.0, 6.0]
    assert all(item.is_dashed() for item in baselines)


def test_bands_are_intervals_from_the_baseline_and_points_without_one_are_ringed(figure):
    german, chinese = figure.axes
    (band,) = artists(german, "band")
    ends = band.get_paths()[0].vertices
    for dose, *shifts in [(0, 1.0, 1.5), (0.25, 0.8, 0.9), (0.5, 0.4, 0.5)]:
        for shift in shifts:
            assert np.isclose(ends, [dose, 5 * math.exp(shift)]).all(axis=1).any(), (dose, shift)
    assert str(Draws()) in notes(figure).replace("\n", " ")
    (ring,) = artists(german, "untested")
    assert np.asarray(ring.get_offsets()) == pytest.approx(np.array([[0, 6.2], [0.25, 6.1]]))
    assert sum(len(found.get_offsets()) for found in artists(chinese, "untested")) == 2
    assert "Dashed ring: no interval" in notes(figure)
    without = dose_curves(masks([10, 100]))
    assert not artists(without.axes[0], "untested")
    assert "No intervals: samples were not logged" in notes(without)


def test_controls_are_grey_points_and_what_cannot_be_compared_is_a_cross_beside_the_line(figure):
    german, chinese = figure.axes
    (points,) = artists(german, "controls")
    assert points.get_ydata() == pytest.approx([5 * math.exp(0.01), 5 * math.exp(0.02)])
    assert points.get_xdata() == pytest.approx([0.5, 0.5])
    assert not artists(chinese, "controls")
    (crosses,) = artists(german, "refused")
    assert crosses.get_xydata().tolist() == [[0.5, 6.1]]
    assert 0.5 not in line(german, "zh").get_xdata()


def test_changes_instead_of_values():
    german, _ = dose_curves([SCALED], change=True).axes
    assert line(german, "de").get_ydata() == pytest.approx([300, 140, 60, 0])
    (zero,) = artists(german, "baseline")
    assert zero.get_ydata() == [0, 0]
    assert not artists(german, "refused")
    assert german.yaxis.get_major_formatter()(150, 0) == "+150%"


def test_neurons_are_on_a_logarithmic_axis_where_a_mask_without_any_has_a_place_too():
    figure = dose_curves(masks([10, 100, 1000]))
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    expected = np.array([[10, 6], [100, 7], [1000, 8]])
    assert line(axes, "de").get_xydata() == pytest.approx(expected)
    assert axes.get_xlabel() == "neurons written"
    assert "mask:sha256-m1,sha256-m2,sha256-m3|" in notes(figure).replace("\n", "")

    (axes,) = dose_curves(masks([0, 10, 100])).axes
    places = axes.transData.transform([(dose, 1) for dose in (0, 10, 100)])[:, 0]
    assert 20 < places[1] - places[0] < places[2] - places[1]


def alike(*conditions, **more):
    return panel(dict.fromkeys(("none", *conditions), NONE), **more)


def test_the_default_is_what_varies():
    assert varying([SCALED]) == "scale"
    assert varying(masks([10, 100])) == "neurons"
    assert varying([alike("de:1", "de:2.5", "de:zero")]) == "value"
    assert varying([alike("de:+1", "de:+2")]) == "added"
    with pytest.raises(LsnError, match=r"no two conditions differ.*de:mean"):
        varying([alike("de:mean")])


def test_zero_belongs_to_what_it_stands_beside():
    (family, _) = families([SCALED], "scale")
    assert family.doses == [0, 0.25, 0.5]
    assert families([alike("de:1", "de:zero", "de:x0.5")], "value")[0].doses == [0, 1]


def test_terms_of_one_dose_are_a_family_and_others_and_other_masks_are_none():
    made = alike("de:x0.5/zh:x0.5", "de:x0/zh:x0", "de:x0/zh:x1")
    (family,) = families([made], "scale")
    assert (family.name, family.own, family.doses) == ("de/zh", None, [0, 0.5])
    two = [alike("de:x0.5", mask=f"sha256-m{n}") for n in (1, 2)]
    assert [family.name for family in families(two, "scale")] == [
        "de, mask sha256-m1", "de, mask sha256-m2",
    ]  # fmt: skip


def test_multiples_of_one_statistic_are_a_family():
    values = {
        f"de:{what}": {"de": 5.0 + n} for n, what in enumerate(("0.5mean", "mean", "1.5mean"))
    }
    others = {"de:max": {"de": 4.0}, "de:+mean": {"de": 4.5}, "de:+2mean": {"de": 4.6}}
    (first, second) = dose_curves([panel({"none": {"de": 5.0}, **values, **others})]).axes[:2]
    assert [axes.get_title("left") for axes in (first, second)] == ["de mean", "de max"]
    assert first.get_xlabel() == "times the statistic"
    assert line(first, "de").get_xdata().tolist() == [0.5, 1, 1.5]
    assert line(first, "de").get_ydata() == pytest.approx([5, 6, 7])


def test_steep_perplexities_are_on_a_logarithmic_axis():
    gentle = panel({"none": NONE, "de:x0.5": {"de": 8.0, "zh": 6.0}})
    steep = panel({"none": NONE, "de:x0.5": {"de": 800.0, "zh": 6.0}})
    assert dose_curves([gentle]).axes[0].get_yscale() == "linear"
    axes = dose_curves([steep]).axes[0]
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    assert 2 < low < 5
    assert high > 800


def test_lines_are_told_apart_without_colour():
    looks = [line_look(number) for number in range(40)]
    assert len({(str(look["linestyle"]), look["marker"]) for look in looks[:36]}) == 36
    assert len({(str(x["linestyle"]), x["marker"], x["color"]) for x in looks}) == 40
    assert str(UNTOUCHED["linestyle"]) not in {str(look["linestyle"]) for look in looks}


def test_of_a_crowd_of_languages_those_that_conditions_are_about_stand_out():
    made = large(2, 13)
    figure = dose_curves([made], by="scale")
    own, other = (line(figure.axes[0], language) for language in ("l00", "l01"))
    assert own.get_linewidth() > 2 * other.get_linewidth()
    assert own.get_color() != other.get_color() == line(figure.axes[0], "l12").get_color()
    key = [text.get_text() for text in figure.legends[0].get_texts()]
    assert key == ["l00", "l01", "other languages", "none (baseline)"]


ZEROS = alike("de:zero", "zh:zero", neurons={"de:zero": 7})


@pytest.mark.parametrize(
    ("panels", "by", "said"),
    [
        ([SCALED, panel({"none": NONE}, metric="other")], None, "panels of one model, task and m"),
        ([], None, "panels of one model"),
        ([SCALED], "added", "no condition has a dose by added"),
        ([ZEROS], "value", r"one single dose by value.*de at 0, zh at 0.*scale, added"),
        ([ZEROS], "neurons", r"one single dose by neurons.*de:zero at 7, zh:zero at 0"),
        ([panel({"de:x0.5": NONE})], "scale", r"one single dose by scale.*de at 0\.5"),
        (masks([48, 48, 96]), None, "de:zero: the masks sha256-m1 and sha256-m2 both stand at 48"),
    ],
)  # fmt: skip
def test_errors(panels, by, said):
    with pytest.raises(LsnError, match=said):
        dose_curves(panels, by=by)


def test_the_baseline_is_the_second_point_of_a_scale():
    assert line(dose_curves([ZEROS], by="scale").axes[0], "de").get_xdata().tolist() == [0, 1]


@pytest.mark.parametrize(
    "made", [large(2, 1), large(40, 20), large(6, 3)], ids=["one", "many", "few"]
)
def test_everything_stays_inside_the_figure(made):
    inside(dose_curves([made], by="scale"))


def test_masks_of_two_methods_are_two_curves():
    small, large_one, other = masks([48, 96, 96])
    changes = {
        place: replace(change, row=replace(change.row, method="random"))
        for place, change in other.changes.items()
    }
    found = families([small, large_one, replace(other, changes=changes)], "neurons")
    assert [(family.name, family.doses) for family in found] == [
        ("de:zero, method lape", [48, 96]), ("de:zero, method random", [96]),
    ]  # fmt: skip
    assert not any(family.clashes for family in found)
