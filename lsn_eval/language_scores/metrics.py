"""`language_metrics`: the figures of a set of texts; `score_text`: those of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import regex

from lsn_eval.language_scores import codes
from lsn_eval.language_scores.identification import EMPTY, LanguageScoreError, load_identifier
from lsn_eval.language_scores.scripts import script_share
from lsn_eval.language_scores.stop_words import load_stop_words

NGRAM = 4

_SPACELESS = "".join(
    rf"\p{{sc={script}}}"
    for script in ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
)
TOKEN = regex.compile(rf"[{_SPACELESS}]|[^\s{_SPACELESS}]+")
"""A word between white space; in scripts that write without spaces, a character."""


@dataclass(frozen=True)
class TextScores:
    """What is measured in one text."""

    detected: str
    """Code of the top label, `empty` or `und`."""
    correct: bool
    """Whether that counts as the language asked for."""
    length: int
    """Characters."""
    stopwords: tuple[int, int] | None
    """Tokens that are stop words, and tokens; None without a list for the language."""
    script_share: float | None
    """None for a language whose script is unknown."""
    repetition: float

    @property
    def empty(self) -> bool:
        """Whether there is nothing but white space."""
        return self.detected == EMPTY


def score_text(
    text: str,
    language: str,
    *,
    lid: str | Path | None = None,
    confidence: float | None = None,
    stopwords: str | Path | None = None,
) -> TextScores:
    """Score one text; arguments as for `language_metrics`."""
    if (
        not isinstance(language, str)
        or not language.isascii()
        or not language.isalpha()
        or not 2 <= len(language) <= 3
    ):
        raise LanguageScoreError(
            f"the language {language!r} is no ISO 639 code; two or three letters such as 'de' or "
            "'deu' were expected"
        )
    code = codes.of_language(language)
    if not isinstance(text, str):
        raise LanguageScoreError(f"a text is {type(text).__name__}, a string was expected")
    if confidence is not None and not 0 <= confidence <= 1:
        raise LanguageScoreError(f"confidence {confidence} is no probability between 0 and 1")
    identifier = load_identifier(lid)
    if not identifier.knows(code):
        raise LanguageScoreError(
            f"{identifier.name} has no label for the language {language!r}, so that no text would "
            "be found to be in it; check the code (Japanese is 'ja'), or give another lid, such as "
            "GlotLID's model.bin"
        )
    detected = identifier.identify(text, confidence)
    words = load_stop_words(code, stopwords)
    return TextScores(
        detected=detected,
        correct=codes.counts_as(detected, code),
        length=len(text),
        stopwords=words.count(text) if words else None,
        script_share=script_share(text, code),
        repetition=repetition(text),
    )


def language_metrics(
    texts: Iterable[str],
    language: str,
    *,
    lid: str | Path | None = None,
    confidence: float | None = None,
    stopwords: str | Path | None = None,
) -> dict[str, Any]:
    """How many of `texts` are in `language`, and how they read.

    Args:
        texts: generated texts; empty ones count, as wrong.
        language: the ISO 639 code asked for, such as `de` or `deu`.
        lid: file of a fastText model with labels such as `__label__de` or `__label__deu_Latn`; the
            embedded `lid.176.ftz` without.
        confidence: a top label below this probability counts as undetermined (`und`); none without.
        stopwords: file of stop words, one a line; the list of stopwords-iso without.

    Returns:
        `n`; `accuracy`, the share of texts whose top label is the language (or a member of the
        macro-language); `mean_length` in characters; `stopword_ratio`, stop words over tokens of
        all texts together (None without a list); `script_share` and `repetition`, means over the
        texts (`script_share` None for a language not in the table); `empty`, the share of empty
        texts; `detected`, how often each language was found, most frequent first, with `empty` and
        `und` as classes of their own; and the names of what measured, `lid`, `confidence` and
        `stopword_list`, with the `language` asked for.

    Raises:
        LanguageScoreError: no texts, something that is no text, a language without a label, an
            unusable file or confidence.
    """
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        given = "one string" if isinstance(texts, str) else f"a {type(texts).__name__}"
        raise LanguageScoreError(f"texts is {given}; a list of strings was expected")
    settings: dict[str, Any] = {"lid": lid, "confidence": confidence, "stopwords": stopwords}
    return summary([score_text(text, language, **settings) for text in texts], language, **settings)


def summary(
    scores: Sequence[TextScores],
    language: str,
    *,
    lid: str | Path | None = None,
    confidence: float | None = None,
    stopwords: str | Path | None = None,
) -> dict[str, Any]:
    """The same of scored texts, with the settings they were scored with."""
    if not scores:
        raise LanguageScoreError("there are no texts to measure; give at least one")
    code = codes.of_language(language)
    words = load_stop_words(code, stopwords)
    counts = [score.stopwords for score in scores if score.stopwords]
    shares = [score.script_share for score in scores if score.script_share is not None]
    tokens = sum(total for _, total in counts)
    n = len(scores)
    return {
        "n": n,
        "language": code,
        "accuracy": sum(score.correct for score in scores) / n,
        "mean_length": sum(score.length for score in scores) / n,
        "stopword_ratio": None
        if words is None
        else (sum(found for found, _ in counts) / tokens if tokens else 0.0),
        "script_share": sum(shares) / n if shares else None,
        "repetition": sum(score.repetition for score in scores) / n,
        "empty": sum(score.empty for score in scores) / n,
        "detected": dict(Counter(score.detected for score in scores).most_common()),
        "lid": load_identifier(lid).name,
        "confidence": confidence,
        "stopword_list": words.name if words else None,
    }


def repetition(text: str) -> float:
    """seq-rep-4 of Welleck et al. (2020, section 6.1): 1 - distinct 4-grams / 4-grams.

    Of `TOKEN`; 0 for a text of fewer than four, which cannot repeat a 4-gram.
    """
    tokens = TOKEN.findall(text)
    ngrams = [tuple(tokens[start : start + NGRAM]) for start in range(len(tokens) - NGRAM + 1)]
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0
