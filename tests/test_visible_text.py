"""No character of a shown text hides others, turns their order or drives a terminal."""

from __future__ import annotations

from lsn_eval.errors import LONGEST, LsnError
from lsn_eval.visible_text import one_line, shortened, visible


def test_controls_are_shown_and_scripts_stay():
    assert visible("a\x1b[31m\x00\x7f\x9b") == "a␛[31m␀␡\ufffd"
    assert visible("x\u202ey\u2066z") == "x⟦U+202E⟧y⟦U+2066⟧z"
    assert visible("\ud800").encode() == "\ufffd".encode()
    kept = "عربي\u200f हिन्दी 中文 \u200d\tx\ny"
    assert visible(kept) == kept
    assert visible("a\r\nb\rc") == "a\nb\nc"


def test_one_line_and_shortened():
    assert one_line("a\n\tb\u2028c  d") == "a b c d"
    assert shortened("abcdef", 4) == "abc…"
    assert shortened("abcd", 4) == "abcd"


def test_errors_show_what_they_quote_and_have_an_end():
    assert str(LsnError("x\x1b]0;owned\x07")) == "x␛]0;owned␇"
    assert len(str(LsnError("x" * 100_000))) == LONGEST
