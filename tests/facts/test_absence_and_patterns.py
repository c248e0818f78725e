"""Facts that no text has, by kind; and what partial matches have beside the object."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders.facts import prediction

from lsn_eval.facts.absence import KINDS, absent, kind
from lsn_eval.facts.patterns import PATTERNS, patterns, words
from lsn_eval.facts.predictions import FactsError


def fact(subject, thing, relation="P1"):
    return prediction(subject, thing, thing, subject=subject, relation=relation)


@pytest.mark.parametrize(
    ("text", "language", "there"),
    [
        ("Anna Berg lived in PARIS.", "de", True),
        ("'Anna Berg', Paris", "de", True),
        ("Paris: Joanna Berg", "de", False),
        ("Anna Berger in Paris", "de", False),
        ("Anna Berg in Parisien", "de", False),
        ("Anna Berg in Neuparis", "de", False),
        ("Anna Berg", "de", False),
        ("xAnna BergxParisx", "zh", True),
    ],
)
def test_a_fact_is_there_if_one_text_names_both(text, language, there):
    of = fact("Anna Berg", "Paris")
    assert absent([of], ["Paris", text, "Anna Berg"], language) == ([] if there else [of])


@pytest.mark.parametrize(
    ("subject", "thing", "text", "there"),
    [
        ("José", "Zürich", "Jose\u0301 aus Zu\u0308rich", True),
        ("राम", "दिल्ली", "राम दिल्ली में", True),
        ("राम", "दिल्ली", "रामा दिल्ली में", False),
        ("محمد", "مكة", "ولد محمد في مكة.", True),
    ],
)
def test_a_letter_is_one_however_it_is_composed(subject, thing, text, there):
    twice = [fact(subject, thing), fact(subject, thing)]
    assert absent(twice, [text], "hi") == ([] if there else twice)


def test_without_a_text_or_a_mask_there_is_no_number():
    with pytest.raises(FactsError, match="no text of de"):
        absent([fact("a", "b")], [], "de")
    with pytest.raises(FactsError, match="results of lsn_mlm"):
        patterns([replace(fact("a", "b"), fillings=())], "de", {})


def test_facts_that_are_not_predicted_do_not_count():
    assert absent([prediction("a", "paris", "rom")], ["nothing"], "de") == []


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (fact("Nokia X", "Nokia", "P17"), "shared tokens"),
        (fact("University of New Haven", "New York"), "shared tokens"),
        (fact("Danielle Darrieux", "French", "P103"), "naming cue"),
        (fact("Danielle Darrieux", "Bordeaux", "P19"), "other"),
        (fact("▁ anna", "▁ bern"), "other"),
    ],
)
def test_kinds(of, expected):
    assert kind(of) == expected
    assert expected in KINDS


def test_patterns_of_partial_matches():
    of = [
        prediction("exact", "paris", "paris", "paris von"),
        prediction("order", "new york", "a", "york new"),
        prediction("preposition", "paris", "rom", "von paris"),
        prediction("noun", "paris", "rom", "rom anna", "anna paris rom"),
        prediction("adjective", "paris", "rom", "großen paris"),
        prediction("mixed", "paris", "rom", "in x", "in paris anna"),
        prediction("punctuation", "paris", "rom", "paris ,"),
        prediction("not", "paris", "rom", "bern von"),
    ]
    found = patterns(of, "de", {"großen": "adj", "rom": "PROPN"})
    assert found == {
        "whitespace": 2, "preposition": 1, "related noun": 1, "adjective": 1, "mixed": 1, "other": 0,
    }  # fmt: skip
    listed = patterns(of, "de", {})
    assert listed["preposition"] == 2, "'großen' is on the stop word list"
    assert listed["other"] == 1, "'rom' is in no list and no label"
    assert tuple(found) == PATTERNS
    spaced = patterns([prediction("space", "▁ rom", "rom", "▁a b")], "de", {})
    assert spaced["whitespace"] == sum(spaced.values()) == 1


@pytest.mark.parametrize(
    ("tokens", "marked", "expected"),
    [
        ("▁Isla m ▁ , ▁und", True, ["islam", "und"]),
        ("Isla ##m , und", False, ["islam", "und"]),
        ("Ġof Ġthe", True, ["of", "the"]),
        ("▁ .", True, []),
    ],
)
def test_tokens_are_put_together_to_words(tokens, marked, expected):
    assert words(tokens.split(), marked) == expected
