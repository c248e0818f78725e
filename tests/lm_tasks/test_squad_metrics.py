"""SQuAD's scores against literal values, the paper's definition, and the scripts that have them."""

from __future__ import annotations

import importlib.util
import json
import random

import pytest
import xquad_parity
from builders.reference import REFERENCE, needs_reference
from builders.squad import plain_scores

from lsn_eval.errors import LsnError
from lsn_eval.lm_tasks.squad_metrics import MLQA_LANGUAGES, exact_match, f1, f1_mlqa
from lsn_eval.lm_tasks.xquad import squad_rows


@pytest.mark.parametrize(
    ("reference", "answer", "exact", "expected"),
    [
        ("308", "308", 1, 1.0),
        ("the Panthers", "Panthers.", 1, 1.0),
        ("Denver Broncos", "broncos denver", 0, 1.0),  # a bag of words has no order
        ("Denver Broncos", "the Denver", 0, 2 / 3),
        ("a b c d", "b b x", 0, 2 * (1 / 3) * (1 / 3) / (2 / 3)),  # the article goes, b counts once
        ("Anther", "another", 0, 0.0),  # articles are words, not parts of words
        ("der Hund", "Hund", 0, 2 / 3),  # a German article stays: the normalisation is English
        ("Ça-va?", "çava", 1, 1.0),
        ("丹佛野马队", "野马队", 0, 0.0),  # no spaces: one word, which is not that word
        ("丹佛野马队", "丹佛野马队。", 0, 0.0),  # and only ASCII's punctuation goes
        ("", "", 1, 1.0),
        ("the", "", 1, 1.0),
        ("", "x", 0, 0.0),
        ("x", "...", 0, 0.0),
        ("a\u00a0b", "b", 1, 1.0),
        ("İzmir", "izmir", 0, 0.0),  # Python's lower case of İ is two characters
    ],
)
def test_literal_values(reference, answer, exact, expected):
    assert exact_match(reference, answer) == exact
    assert f1(reference, answer) == pytest.approx(expected, abs=1e-15)


def made_pairs(count: int = 2000) -> list[tuple[str, str]]:
    draw = random.Random(0)
    pool = [
        "the", "a", "An", "Zug", "zug.", "«Zug»", "日本", "été", "Ελλάδα", "x-y", "(", "7,5", "\u3000",
        "它", "ال", "كتاب", "la", "das", "là",
    ]  # fmt: skip
    return [
        tuple(draw.choice([" ", " ", "", "\n"]).join(draw.choices(pool, k=draw.randrange(6))) for _ in range(2))
        for _ in range(count)
    ]  # fmt: skip


def test_scores_are_the_papers():
    partial = 0
    for reference, answer in made_pairs():
        exact, harmonic = plain_scores(reference, answer)
        assert exact_match(reference, answer) == exact, (reference, answer)
        assert f1(reference, answer) == pytest.approx(harmonic, abs=1e-15), (reference, answer)
        partial += 0 < harmonic < 1
    assert partial > 100, "the pairs tell apart"


@pytest.mark.parametrize(
    ("language", "reference", "answer", "expected"),
    [
        ("zh", "丹佛野马队", "野马队。", 2 * (3 / 3) * (3 / 5) / (8 / 5)),
        ("zh", "24 次", "24次", 1.0),
        ("de", "der Hund", "„Hund“", 1.0),
        ("es", "el gato", "gato", 1.0),
        ("vi", "những con mèo", "con mèo", 1.0),
        ("ar", "الكتاب", "كتاب", 1.0),
        ("hi", "the बिल्ली", "बिल्ली", 2 / 3),
        ("en", "", "", 0.0),
    ],
)
def test_mlqa_normalises_by_language(language, reference, answer, expected):
    assert f1_mlqa(reference, answer, language) == pytest.approx(expected, abs=1e-15)


def test_mlqa_has_no_other_language():
    with pytest.raises(LsnError, match=r"MLQA says nothing of 'th'.*ar, de, en, es, hi, vi, zh"):
        f1_mlqa("a", "a", "th")


@pytest.mark.parametrize("language", sorted(MLQA_LANGUAGES))
def test_mlqas_f1_equals_that_of_lm_evals_mlqa(language):
    theirs = pytest.importorskip("lm_eval.tasks.mlqa.utils").f1_score
    pairs = made_pairs()
    file = REFERENCE / "xquad" / f"xquad.{language}.json"
    if file.is_file():
        draw = random.Random(0)
        rows = list(squad_rows(file))[:300]
        for row in rows:
            answer = row["answers"]["text"][0]
            other = draw.choice(rows)["answers"]["text"][0]
            pairs.append((answer, xquad_parity.corrupted(answer, other, row["context"], draw)))
    partial = 0
    for reference, answer in pairs:
        score = f1_mlqa(reference, answer, language)
        assert score == theirs(answer, reference, language), (reference, answer)
        partial += 0 < score < 1
    assert partial > 100


@needs_reference
@pytest.mark.skipif(
    importlib.util.find_spec("transformers.data.metrics") is None,
    reason="this transformers has no squad_metrics; version 4 has: see scripts/xquad_parity.py",
)
def test_scores_equal_those_of_transformers_on_the_released_answers():
    from transformers.data.metrics import squad_metrics

    for path in sorted((REFERENCE / "xquad").glob("xquad.*.json")):
        counts = xquad_parity.compare(path, squad_metrics, seed=1)
        assert counts["different"] == 0
        assert counts["compared"] == 1190 * 22


def test_the_parity_check_notices_a_difference(tmp_path, capsys):
    path = tmp_path / "xquad.de.json"
    qas = [
        {"id": str(number), "question": "Wer?", "answers": [{"text": text, "answer_start": 0}]}
        for number, text in enumerate(["der rote Hund", "die Katze schläft"])
    ]
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "Text", "qas": qas}]}]}))

    class Ours:
        compute_exact = staticmethod(exact_match)
        compute_f1 = staticmethod(f1)

    class Other(Ours):
        @staticmethod
        def compute_f1(reference: str, answer: str) -> float:
            return f1(reference.replace("der", ""), answer)

    assert xquad_parity.compare(path, Ours, 0)["different"] == 0
    assert xquad_parity.compare(path, Other, 0)["different"] > 0
    assert "expected" in capsys.readouterr().out
