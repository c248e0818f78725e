"""What counts as knowing a fact, and what is beside it."""

from __future__ import annotations

import pytest

from lsn_eval.facts.matches import added_tokens, of_continuation, of_fillings


@pytest.mark.parametrize(
    ("gold", "fillings", "full", "exact", "partial", "one"),
    [
        ("Paris", ["Paris", "Paris Rom"], 1, 1, 1, 1),
        ("Paris", ["Rom", "Rom Paris"], 0, 0, 1, 0),
        ("Pa ##ris", ["Paris", "Pa ##ris"], 1, 1, 1, None),
        ("Pa ##ris", ["Pa", "##ris Pa"], 0, 0, 1, None),
        ("▁ 巴 黎", ["巴", "巴 黎", "a b c"], 1, 0, 1, None),
        ("▁ 巴 黎", ["a", "a b", "▁ 巴 黎"], 1, 1, 1, None),
        ("▁ 黎", ["黎", "a b"], 1, 0, 1, 1),
        ("Paris", ["Rom", "Rom Rom"], 0, 0, 0, 0),
    ],
)
def test_matches_of_fillings(gold, fillings, full, exact, partial, one):
    found = of_fillings(gold.split(), [filling.split() for filling in fillings])
    expected = {"full_match": full, "exact_match": exact, "partial_match": partial}
    assert found == expected | ({} if one is None else {"one_token": one})


def test_a_continuation_that_holds_the_object_is_a_partial_match():
    matched = dict.fromkeys(("full_match", "exact_match", "partial_match", "one_token"), 1.0)
    assert of_continuation(["▁Paris"], "Paris", True, " Paris is") == matched
    within = {"full_match": 0.0, "exact_match": 0.0, "partial_match": 1.0}
    assert of_continuation(["▁Pa", "ris"], "Paris", False, " the PARIS") == within
    assert of_continuation(["▁Pa", "ris"], "Paris", False, " Rome")["partial_match"] == 0.0


def test_the_shortest_filling_that_holds_the_object_says_what_was_added():
    gold = ["Pa", "##ris"]
    assert added_tokens(gold, [["Pa"], ["the", "Pa", "##ris", "a"], ["of", "Pa", "##ris"]]) == [
        "of"
    ]
    assert added_tokens(gold, [["Pa"], ["##ris"]]) is None
    assert added_tokens(gold, [["##ris", "Pa"]]) == []
