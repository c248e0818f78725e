"""P@1, overlaps and correlations, worked out by hand."""

from __future__ import annotations

import math

import pytest
from builders.facts import prediction

from lsn_eval.facts.languages import correlation, precisions, shared_facts
from lsn_eval.facts.predictions import FactsError

YES, NO = ("paris", "paris"), ("paris", "rom")


def facts(*known, unknown=(), **others):
    return [
        prediction(uuid, *of, **others)
        for of, uuids in ((YES, known), (NO, unknown))
        for uuid in uuids
    ]


def test_precision_by_relation_over_all_and_as_a_mean_of_relations():
    of = [*facts("a", "b", unknown="c"), *facts("d", unknown="efg", relation="P0")]
    found = precisions(of, "full_match")
    assert list(found) == ["all", "P0", "P1", "mean"]
    assert found == {
        "all": (pytest.approx(3 / 7), 7), "P0": (0.25, 4), "P1": (pytest.approx(2 / 3), 3),
        "mean": (pytest.approx((0.25 + 2 / 3) / 2), 2),
    }  # fmt: skip


def test_facts_without_the_metric_do_not_count():
    of = [prediction("a", "new york", "rom", "new york"), *facts("b", unknown="c")]
    assert precisions(of, "one_token")["all"] == (0.5, 2)
    assert precisions(of[:1], "one_token") == {"all": (None, 0), "P1": (None, 0), "mean": (None, 0)}


def test_overlap_is_over_the_facts_that_both_languages_have():
    found = shared_facts(
        {
            "de": facts("a", "b", "only", unknown="cd"),
            "zh": facts("a", "c", unknown="bd"),
            "fr": facts(unknown="d"),
        }
    )
    assert found == {("de", "zh"): (1 / 3, 4), ("de", "fr"): (None, 1), ("zh", "fr"): (None, 1)}


def test_correlation_with_sizes():
    by_language = {
        "de": facts("a", "b"), "zh": facts("a", unknown="b"), "fr": facts(unknown="ab"),
        "it": facts("a"),
    }  # fmt: skip
    sizes = {"de": 30.0, "zh": 10.0, "fr": 5.0, "xx": 1.0}
    x, y = [30.0, 10.0, 5.0], [1.0, 0.5, 0.0]
    a, b = ([v - sum(of) / 3 for v in of] for of in (x, y))
    expected = sum(p * q for p, q in zip(a, b, strict=True)) / math.sqrt(
        sum(p * p for p in a) * sum(q * q for q in b)
    )
    r, p, count = correlation(by_language, sizes, "full_match")
    assert (r, count) == (pytest.approx(expected), 3)
    assert 0 < p < 1
    with pytest.raises(FactsError, match="2 languages have both"):
        correlation(by_language, {"de": 1.0, "zh": 2.0}, "full_match")
    with pytest.raises(FactsError, match="of different sizes"):
        correlation(by_language, dict.fromkeys(sizes, 3.0), "full_match")
