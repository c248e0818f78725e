"""Names of languages in any script: in a font that has them, or not at all."""

from __future__ import annotations

import warnings

import pytest
from builders.panels import panel
from matplotlib import font_manager, ft2font

from lsn_eval.plotting import fonts, heat_map
from lsn_eval.plotting.fonts import FontWarning, choose

PANEL = panel({"none": {"de": 5.0, "zh": 6.0}, "de:zero": {"de": 9.0, "zh": 6.1}})
CUNEIFORM_OR_LATER = "\U0001e6c0"  # Tai Yo: in the standard since version 17, in no font yet


def has(family, text):
    entry = next(e for e in font_manager.fontManager.ttflist if e.name == family)
    font = ft2font.FT2Font(entry.fname)
    return all(font.get_char_index(ord(letter)) for letter in text)


def installed(text):
    """Whether any font of this machine has these letters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FontWarning)
        return "x" in choose({"x": text}, ()).labels


def test_latin_needs_nothing_but_what_matplotlib_brings():
    found = choose({"de": "Deutsch", "ru": "Русский"}, ("ppl_*",))
    assert found.families == ("DejaVu Sans",)
    assert found.labels == {"de": "Deutsch", "ru": "Русский"}


@pytest.mark.parametrize("name", ["中文", "हिन्दी", "ไทย", "বাংলা"])
def test_other_scripts_get_a_font_that_covers_them(name):
    if not installed(name):
        pytest.skip(f"no font here has {name}")
    found = choose({"zh": name}, ())
    assert found.families[0] == "DejaVu Sans"
    assert not has("DejaVu Sans", name)
    missing = [letter for letter in name if not has("DejaVu Sans", letter)]
    assert any(has(family, missing) for family in found.families[1:])
    figure = heat_map(PANEL, labels={"zh": name})
    main = next(axes for axes in figure.axes if axes.get_label() == "changes")
    label = main.get_xticklabels()[1]
    assert label.get_text() == name
    assert set(found.families) <= set(label.get_fontfamily())
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of glyphs that it lacks
        figure.draw(figure.canvas.get_renderer())


@pytest.mark.skipif(not hasattr(ft2font, "__libraqm_version__"), reason="matplotlib before 3.11")
def test_right_to_left_is_shaped_and_ordered():
    """Joined letters are narrower than the same letters one by one, and the first is rightmost."""
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
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
        found = choose({"de": CUNEIFORM_OR_LATER, "zh": f"a{CUNEIFORM_OR_LATER}", "fr": "F"}, ())
    assert len(caught) == 1
    assert found.labels == {"fr": "F"}
    assert found.name("de") == "de"


def test_without_shaping_the_code_is_kept(monkeypatch):
    monkeypatch.setattr(fonts, "_can_shape", lambda: False)
    with pytest.warns(FontWarning, match=r"cannot shape العربية"):
        found = choose({"ar": "العربية", "de": "Deutsch", "ru": "Русский"}, ())
    assert found.labels == {"de": "Deutsch", "ru": "Русский"}


def test_other_texts_never_come_out_as_boxes():
    figure = heat_map(
        panel({"none": {"de": 5.0}, "de:zero": {"de": 9.0}}, model=f"a{CUNEIFORM_OR_LATER}b")
    )
    title = next(text for text in figure.texts if text.get_gid() == "title")
    assert "a\N{REPLACEMENT CHARACTER}b" in title.get_text()


def test_a_number_stands_after_a_name_from_right_to_left():
    found = choose({"ar": "العربية", "de": "Deutsch"}, ())
    assert found.beside("de", " (12)") == "Deutsch (12)"
    if "ar" in found.labels:
        assert found.beside("ar", " (12)") == "\N{LEFT-TO-RIGHT MARK}العربية (12)"


def test_ideographs_follow_the_language():
    if not installed("中文"):
        pytest.skip("no font here has Chinese letters")
    families = {
        code: choose({code: "直"}, ()).families[-1] for code in ("zh", "ja", "ko", "zho_Hant")
    }
    names = {entry.name for entry in font_manager.fontManager.ttflist}
    if {"Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR"} <= names:
        assert families == {
            "zh": "Noto Sans CJK SC", "ja": "Noto Sans CJK JP", "ko": "Noto Sans CJK KR",
            "zho_Hant": "Noto Sans CJK TC",
        }  # fmt: skip
