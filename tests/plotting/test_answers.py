"""Stacked bars of the languages of answers: shares, by dose and by condition."""

from __future__ import annotations

from collections import Counter

import pytest
from builders.figures import artists, inside
from builders.panels import panel

from lsn_eval.errors import LsnError
from lsn_eval.plotting import answer_bars
from lsn_eval.plotting import answers as drawing

ANSWERS = {
    ("none", "de"): "de de de de", ("none", "en"): "en en en en",
    ("de:x0.5", "de"): "de de en de", ("de:x0.5", "en"): "en en en en",
    ("de:zero", "de"): "en nl en de", ("de:zero", "en"): "en en en en",
    ("en:zero/de:mean", "de"): "de de de de", ("en:zero/de:mean", "en"): "de de en empty",
}  # fmt: skip


def drawn(monkeypatch, conditions, metric="lsn_language_accuracy", **labels):
    made = panel(
        {condition: {"de": 1.0, "en": 1.0} for condition in conditions},
        scale="linear", metric=metric, task="ask",
    )  # fmt: skip
    counted = [(*place, Counter(text.split())) for place, text in ANSWERS.items()]
    shown = [entry for entry in counted if entry[0] in conditions]
    monkeypatch.setattr(drawing, "answer_counts", lambda _: iter(shown))
    return answer_bars(made, **labels)


def shares(axes):
    """Shares by bar and language; they stand upon each other, and every bar is whole."""
    found, tops = {}, {}
    for language in ("de", "en", "nl", "empty", "other"):
        for bar in artists(axes, language):
            place = round(bar.get_x() + bar.get_width() / 2)
            found.setdefault(place, {})[language] = pytest.approx(bar.get_height())
            tops.setdefault(place, [0.0]).append(bar.get_y() + bar.get_height())
    for place, shares_of_one in found.items():
        heights = [share.expected for share in shares_of_one.values()]
        steps = zip(sorted(tops[place])[1:], sorted(tops[place]), strict=False)
        assert sorted(high - low for high, low in steps) == pytest.approx(sorted(heights))
        assert max(tops[place]) == pytest.approx(1)
    return [found[place] for place in sorted(found)]


def test_doses_show_which_language_takes_over(monkeypatch):
    figure = drawn(monkeypatch, ("none", "de:x0.5", "de:zero"))
    (axes,) = figure.axes
    assert axes.get_title("left") == "de, asked in de: activations scaled by"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "0.5", "0"]
    assert shares(axes) == [
        {"de": 1.0}, {"de": 0.75, "en": 0.25}, {"de": 0.25, "en": 0.5, "nl": 0.25},
    ]  # fmt: skip
    inside(figure)


def test_without_doses_every_language_of_the_text_has_its_conditions(monkeypatch):
    figure = drawn(
        monkeypatch, ("none", "de:zero", "en:zero/de:mean"), labels={"de": "Deutsch"}
    )  # fmt: skip
    first, second = figure.axes
    assert [axes.get_title("left") for axes in figure.axes] == ["asked in de", "asked in en"]
    conditions = ["none", "de:zero", "en:zero/de:mean"]
    assert [label.get_text() for label in first.get_xticklabels()] == conditions
    assert shares(second) == [{"en": 1.0}, {"en": 1.0}, {"de": 0.5, "en": 0.25, "empty": 0.25}]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Deutsch", "en", "nl", "empty"]
    looks = {(p.get_facecolor(), p.get_hatch()) for p in legend.get_patches()}
    assert len(looks) == 4
    inside(figure)


def test_languages_beyond_those_that_can_be_told_apart_are_one(monkeypatch):
    monkeypatch.setattr(drawing, "_MOST", 2)
    _, second = drawn(monkeypatch, ("none", "de:zero", "en:zero/de:mean")).axes
    assert shares(second)[2] == {"de": 0.5, "en": 0.25, "other": 0.25}


def test_without_logged_answers_there_is_nothing_to_draw(monkeypatch):
    with pytest.raises(LsnError, match="logged answers"):
        drawn(monkeypatch, ())
