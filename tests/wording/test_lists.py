"""Lists and counts in a sentence."""

from __future__ import annotations

from lsn_eval.wording.lists import counted, listed


def test_a_long_list_ends_with_how_many_more():
    assert listed(["a", "b"]) == "a, b"
    assert listed(range(3), 3) == "0, 1, 2"
    assert listed(iter("abcde"), 2, "; ") == "a; b and 3 more"
    assert listed([]) == ""


def test_one_of_a_thing_and_several():
    assert counted(1, "control") == "1 control"
    assert [counted(n, "file") for n in (0, 2, 12_000)] == ["0 files", "2 files", "12,000 files"]
