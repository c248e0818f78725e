"""What an object shows of itself, in text and in a notebook."""

from __future__ import annotations

from html.parser import HTMLParser

from lsn_eval.wording.shown import MOST, Shown


class Things(Shown):
    def __init__(self, title: str, rows: list[list[str]]) -> None:
        self.given = title, rows

    def summary(self) -> tuple[str, list[list[str]]]:
        return self.given


class Cells(HTMLParser):
    """The elements of a page, and the text of its cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        assert not attributes
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows:
            self.rows[-1][-1:] = [data]


def test_what_is_not_ours_is_only_text():
    odd = "<script>alert(1)</script>&amp;\n\x1b[2J\u202e|"
    shown = Things(odd, [["name", odd], [odd, "2"]])
    page = Cells(shown._repr_html_())
    assert page.tags == {"div", "strong", "table", "tr", "th", "td"}
    assert page.rows[1][0] == "<script>alert(1)</script>&amp; ␛[2J⟦U+202E⟧|"
    assert len(repr(shown).splitlines()) == 3
    assert not {"\x1b", "\u202e"} & set(repr(shown) + shown._repr_html_())


def test_what_is_long_is_cut_and_counted():
    rows = [[f"{row}.{column}" for column in range(40)] for row in range(1001)]
    shown = Things("many", rows)
    assert len(repr(shown)) < 2000
    lines = repr(shown).splitlines()
    assert [line.strip() for line in lines[-2:]] == ["and 988 more rows", "and 27 more columns"]
    assert lines[1].split() == [f"0.{column}" for column in range(MOST + 1)]
    assert len(Cells(shown._repr_html_()).rows) == MOST + 1
    few = [row[:3] for row in rows[:3]]
    assert "more" not in repr(Things("few", few)) + Things("few", few)._repr_html_()
