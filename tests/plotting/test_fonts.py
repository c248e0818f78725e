"""Names of languages in any script: in a font that has them, or not at all."""

from __future__ import annotations

import warnings

import pytest
from builders.figures import axes_of
from builders.panels import panel
from matplotlib import font_manager, ft2font

from lsn_eval.plotting import bars, dose_curves, figure_svg, fonts, heat_map
from lsn_eval.plotting.fonts import BASE, families_for, missing
from lsn_eval.plotting.lettering import FontWarning, lettering

VALUES = {"none": {"de": 5.0, "zh": 6.0}, "de:x0.5": {"de": 9.0, "zh": 6.1}}
TAI_YO = "\U0001e6c0"  # in the standard since version 17, in no font yet


def labelled(**labels):
    with lettering(labels) as letters:
        return letters


def test_latin_needs_nothing_but_what_matplotlib_brings():
    assert families_for([])[0] == BASE
    assert not missing("Deutsch Русский ppl_*", (BASE,))
    assert missing(f"a{TAI_YO}中", (BASE,)) == {TAI_YO, "中"}


@pytest.mark.parametrize("name", ["العربية", "中文", "हिन्दी", "ไทย", "বাংলা"])
def test_other_scripts_are_drawn_where_a_font_is_installed(name):
    if missing(name, families_for(["zh"])):
        pytest.skip(f"no font here has {name}")
    figure = heat_map(panel(VALUES), labels={"zh": name})
    assert axes_of(figure, "changes").get_xticklabels()[1].get_text() == name
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of glyphs that it lacks
        figure.draw(figure.canvas.get_renderer())


def test_a_listed_font_is_used_once_it_is_installed(tmp_path, monkeypatch):
    """DejaVu Sans Mono, listed in place of a font for another script."""
    monkeypatch.setattr(
        fonts, "_OTHERS", ("Not Installed", "DejaVu Sans Mono JP", "DejaVu Sans Mono")
    )
    assert families_for(["ja"]) == (BASE, "DejaVu Sans Mono")
    names = [*font_manager.get_font_names(), "DejaVu Sans Mono JP"]
    monkeypatch.setattr(font_manager, "get_font_names", lambda: names)
    assert families_for(["de", "ja"]) == (BASE, "DejaVu Sans Mono JP", "DejaVu Sans Mono")


@pytest.mark.skipif(not hasattr(ft2font, "__libraqm_version__"), reason="matplotlib before 3.11")
def test_right_to_left_is_shaped_and_ordered():
    """Joined letters are narrower than the same letters one by one, and the first is rightmost."""
    font = font_manager.get_font(font_manager.findfont(BASE))
    font.set_size(40, 72)
    font.set_text("العربية")
    joined = font.get_width_height()[0]
    apart = 0
    for letter in "العربية":
        font.set_text(letter)
        apart += font.get_width_height()[0]
    assert joined < 0.8 * apart


def test_letters_that_no_font_has_keep_the_code_and_are_named_once():
    with pytest.warns(FontWarning, match=r"U\+1E6C0") as caught:
        letters = labelled(de=TAI_YO, zh=f"a{TAI_YO}", fr="F")
    assert len(caught) == 1
    assert letters.labels == {"fr": "F"}
    assert letters.name("de") == "de"


def test_without_shaping_the_code_is_kept(monkeypatch):
    monkeypatch.setattr(fonts, "_can_shape", lambda: False)
    with pytest.warns(FontWarning, match=r"cannot shape العربية"):
        letters = labelled(ar="العربية", de="Deutsch", ru="Русский")
    assert letters.labels == {"de": "Deutsch", "ru": "Русский"}


@pytest.mark.parametrize("draw", [heat_map, bars, lambda made, **rest: dose_curves([made], **rest)])
def test_texts_from_outside_cannot_hide_turn_or_come_out_as_boxes(draw):
    odd = f"a\x1b[2J\u202eb\n{TAI_YO}c\ud800"
    values = {"none": {odd: 5.0, "de": 5.0}, "de:x0.5": {odd: 9.0, "de": 5.0}}
    made = panel(values, model=odd, task=odd, metric=odd)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = draw(made, labels={"de": "x\u202ey"})
        figure_svg(figure)
    texts = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    everything = "".join([*texts, figure.get_label()])
    assert "a�[2J⟦U+202E⟧b �c�" in everything
    assert "x⟦U+202E⟧y" in everything
    assert not set("\x1b\u202e\ud800" + TAI_YO) & set(everything)


def test_a_number_stands_after_a_name_from_right_to_left():
    letters = labelled(ar="العربية", de="Deutsch")
    assert letters.beside("de", " (12)") == "Deutsch (12)"
    if "ar" in letters.labels:
        assert letters.beside("ar", " (12)") == "\N{LEFT-TO-RIGHT MARK}العربية (12)"
