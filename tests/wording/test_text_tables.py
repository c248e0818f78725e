"""Tables of text."""

from __future__ import annotations

import re

from lsn_eval.wording.text_tables import aligned, columns, markdown_table, markdown_text

HOSTILE = "a_b|c`d*[e]<f>\\g&h\n\x1b[31m\u202ei"


def test_columns_align_also_with_wide_characters():
    rows = [["condition", "任务"], ["语言任务", "1.0"], ["  ab", "22.0"]]
    lines = aligned(rows, words=1)
    assert [columns(line) for line in lines] == [15, 15, 15]
    assert lines[1] == "语言任务    1.0"
    assert lines[2].startswith("  ab  ")
    assert aligned(rows)[1:] == ["语言任务   1.0", "  ab       22.0"]


def test_a_table_wider_than_the_screen_goes_on_below_with_nothing_lost():
    rows = [["row", *(f"column{n}" for n in range(5))], ["a", *map(str, range(5))]]
    lines = aligned(rows, words=1, width=29)
    assert max(map(columns, lines)) <= 29
    assert [line.split() for line in lines] == [
        ["row", "column0", "column1"], ["a", "0", "1"], [],
        ["row", "column2", "column3"], ["a", "2", "3"], [],
        ["row", "column4"], ["a", "4"],
    ]  # fmt: skip
    assert aligned(rows, words=1, width=48) == aligned(rows, words=1)
    assert len(aligned(rows, words=1, width=3)) == 5 * 3 - 1, (
        "a column that is too wide stays whole"
    )


def test_rows_below_a_cut_are_told_apart_by_as_many_columns_as_it_takes():
    rows = [["task", "condition", "texts", "accuracy"], ["de", "none", "9", "1"]]
    rows += [["de", "de:zero", "9", "0.5"], ["ru", "none", "9", "1"]]
    below = aligned(rows, words=1, width=24)[-4:]
    assert [line.split() for line in below] == [[*row[:2], row[3]] for row in rows]


def test_a_cell_breaks_neither_its_line_nor_the_terminal():
    first, second = aligned([["name", "x"], [HOSTILE, "1"]])
    assert "\x1b" not in second
    assert "\u202e" not in second
    assert first.index("x") == second.rindex("1")


def test_markdown_keeps_its_columns_and_escapes():
    lines = markdown_table([["name", HOSTILE], [HOSTILE, "1"]]).splitlines()
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines] == [3, 3, 3]
    assert re.fullmatch(r"\| -+ \| -+: \|", lines[1])
    assert len({columns(line) for line in lines}) == 1
    text = markdown_text(HOSTILE)
    for escaped in (r"a\_b", r"\|c", r"\`d", r"\*", r"\[e\]", r"\<f\>", r"\\g", r"\&h"):
        assert escaped in text
    assert "\x1b" not in text
