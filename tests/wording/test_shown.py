"""What an object shows of itself, in text and in a notebook."""

from __future__ import annotations

import re

from lsn_eval.wording.shown import MOST, Shown


class Things(Shown):
    def __init__(self, title: str, rows: list[list[str]]) -> None:
        self.given = title, rows

    def summary(self) -> tuple[str, list[list[str]]]:
        return self.given


def test_what_is_not_ours_is_only_text():
    odd = "<script>alert('1')</script>&amp;\n\x1b[2J\u202e|"
    shown = Things(odd, [["name", odd], [odd, "2"]])
    page = shown._repr_html_()
    assert set(re.findall(r"<(.*?)>", page)) == {
        tag + name for name in ("div", "strong", "table", "tr", "th", "td") for tag in ("", "/")
    }
    assert (
        page.count("&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&amp;amp; ␛[2J⟦U+202E⟧|") == 3
    )
    assert len(repr(shown).splitlines()) == 3
    assert not {"\x1b", "\u202e"} & set(repr(shown) + page)


def test_what_is_long_is_cut_and_counted():
    rows = [[f"{row}.{column}" for column in range(40)] for row in range(1001)]
    shown, few = Things("many", rows), Things("few", [row[:3] for row in rows[:3]])
    assert len(repr(shown)) < 2000
    lines = repr(shown).splitlines()
    assert [line.strip() for line in lines[-2:]] == ["and 988 more rows", "and 27 more columns"]
    assert lines[1].split() == [f"0.{column}" for column in range(MOST + 1)]
    assert shown._repr_html_().count("<tr>") == MOST + 1
    assert "more" not in repr(few) + few._repr_html_()
