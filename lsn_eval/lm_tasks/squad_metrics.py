"""SQuAD's exact match and F1, as Rajpurkar et al. (2016, section 6.1) define them.

Both ignore case, punctuation and the English articles. That normalisation is English, and lm-eval
uses it for XQuAD in every language; so do `exact_match` and `f1`, which equal its numbers. In a
language written without spaces an answer is one word, and F1 is little more than exact match:
`f1_mlqa` is the measure of MLQA (Lewis et al., 2020, and their script), which normalises by
language and takes every Chinese character for a word.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter

from lsn_eval.errors import LsnError

_PUNCTUATION = frozenset(string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")

_HAN = re.compile("([\u4e00-\u9fa5])")
_MLQA_ARTICLES = {
    "ar": r"(?:^|\s)ال",
    "de": r"\b(?:ein(?:e[mnrs]?)?|d(?:er|ie|as|en|em|es))\b",
    "en": _ARTICLES.pattern,
    "es": r"\b(?:un|una|unos|unas|el|la|los|las)\b",
    "hi": None,
    "vi": r"\b(?:của|là|cái|chiếc|những)\b",
    "zh": None,
}
MLQA_LANGUAGES = frozenset(_MLQA_ARTICLES)
"""Languages for which MLQA says what an article is and what a word is."""


def normalize(text: str) -> str:
    """Lower case, without ASCII punctuation and English articles, words parted by one space."""
    letters = "".join(character for character in text.lower() if character not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", letters).split())


def exact_match(reference: str, answer: str) -> int:
    """1 if both are the same after normalisation, else 0."""
    return int(normalize(reference) == normalize(answer))


def f1(reference: str, answer: str) -> float:
    """Harmonic mean of precision and recall over the words of both, as bags.

    Where one of them has no words left, 1 if the other has none either, else 0: as SQuAD 2.0's
    script has it, on which the paper is silent.
    """
    return _f1(normalize(reference).split(), normalize(answer).split())


def _f1(expected: list[str], given: list[str]) -> float:
    if not expected or not given:
        return float(expected == given)
    same = (Counter(expected) & Counter(given)).total()
    if same == 0:
        return 0.0
    precision, recall = same / len(given), same / len(expected)
    return 2 * precision * recall / (precision + recall)


def f1_mlqa(reference: str, answer: str, language: str) -> float:
    """MLQA's F1: articles of the language, all of Unicode's punctuation, Chinese by characters.

    Raises:
        LsnError: MLQA has no such language.
    """
    if language not in MLQA_LANGUAGES:
        raise LsnError(
            f"MLQA says nothing of {language!r}, only of {', '.join(sorted(MLQA_LANGUAGES))}; "
            "use f1"
        )
    expected, given = _mlqa_words(reference, language), _mlqa_words(answer, language)
    # Its script has no word for two empty answers that agree: they score 0.
    return _f1(expected, given) if expected else 0.0


def _mlqa_words(text: str, language: str) -> list[str]:
    kept = "".join(character for character in text.lower() if not _is_punctuation(character))
    if articles := _MLQA_ARTICLES[language]:
        kept = re.sub(articles, " ", kept)
    if language == "zh":
        kept = _HAN.sub(r" \1 ", kept)
    return kept.split()


def _is_punctuation(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character).startswith("P")
