"""Language confusion of a text: lines in another language, English words in right lines.

Marchisio et al. (2024, "Understanding and Mitigating Language Confusion in LLMs", arXiv
2406.20052), counted as their public code counts (for-ai/language-confusion, `compute_metrics.py`).
"""

from __future__ import annotations

import functools
import hashlib
import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lsn_eval.language_scores import codes
from lsn_eval.language_scores.identification import LanguageScoreError, load_identifier
from lsn_eval.language_scores.metrics import TOKEN
from lsn_eval.language_scores.stop_words import words_in

SHORTEST_LINE = 5
"""Words; shorter lines are not looked at."""
LEAST_PROBABLE = 0.3
"""A label that is not more probable than this is none."""
SHORTEST_WORD = 4
"""Letters of an English word that counts as one."""
WITH_WORDS = frozenset({"ar", "hi", "ja", "ko", "ru", "zh"})
"""Languages in which English words are looked for; the Latin script shares too many."""
SEGMENTERS = ("words", "characters")
"""Of Chinese and Japanese: jieba's and MeCab's words as published, or a character a word."""
_NEXT_QUESTION = "\nQ:"
_PUNCTUATION = str.maketrans("—", " ", string.punctuation + "،")


@dataclass(frozen=True)
class Confusion:
    """What is wrong with one text. The pass rates of many are sums of pairs over sums."""

    lines: int
    """That are long enough to be looked at."""
    wrong: int
    """Of these, in another language or in none."""
    english: bool | None
    """Whether a text of right lines has an English word; None where it was not looked for."""

    @property
    def line_pass(self) -> tuple[int, int]:
        """Whether all lines are right, and whether there are any."""
        return int(self.lines > 0 and not self.wrong), int(self.lines > 0)

    @property
    def word_pass(self) -> tuple[int, int] | None:
        """Whether there is no English word, and whether the text passed by its lines."""
        if self.english is None:
            return None
        right = self.line_pass[0]
        return int(right and not self.english), right


def confusion(
    text: str,
    language: str,
    *,
    lid: str | Path | None = None,
    words: str | Path | None = None,
    segmenter: str = "words",
) -> Confusion:
    """Lines and words of one text that are not in the language.

    A text ends where a line `Q:` begins; punctuation is taken out. A line is right if the top label
    is the language's own, members of a macro-language left aside, and more probable than
    `LEAST_PROBABLE`.

    Args:
        language: ISO 639 code asked for.
        lid: file of a fastText model; the embedded `lid.176.ftz` without, published is
            `lid.176.bin`.
        words: file of English words, one a line; those in small letters count, from
            `SHORTEST_WORD` letters on. Without it words are not looked at.
        segmenter: one of `SEGMENTERS`.

    Raises:
        LanguageScoreError: an unusable file, or jieba or fugashi are missing.
    """
    code = codes.of_language(language)
    english = _english(str(words)) if words is not None and code in WITH_WORDS else None
    split = _splitter(code if code in ("ja", "zh") else "", segmenter)
    identifier = load_identifier(lid)
    whole = text.split(_NEXT_QUESTION)[0].strip().translate(_PUNCTUATION)
    tokens = {line: split(line) for line in whole.split("\n")}
    lines = [line for line in whole.split("\n") if len(tokens[line]) >= SHORTEST_LINE]
    wrong = sum(identifier.identify(line, LEAST_PROBABLE) != code for line in lines)
    found = None
    if english is not None:
        found = any(token.strip() in english for line in lines for token in tokens[line])
    return Confusion(len(lines), wrong, found)


def words_digest(words: str | Path) -> str:
    """`sha256-` and twelve digits of the words that count of a file, for a signature.

    Raises:
        LanguageScoreError: an unusable file.
    """
    counting = "\n".join(sorted(_english(str(words))))
    return f"sha256-{hashlib.sha256(counting.encode()).hexdigest()[:12]}"


@functools.lru_cache(maxsize=2)
def _english(path: str) -> frozenset[str]:
    return words_in(path, lambda word: word.islower() and len(word) >= SHORTEST_WORD)


@functools.cache
def _splitter(code: str, segmenter: str) -> Callable[[str], list[str]]:
    if segmenter not in SEGMENTERS:
        raise LanguageScoreError(f"segmenter {segmenter!r} is none of {', '.join(SEGMENTERS)}")
    if not code:
        return str.split
    if segmenter == "characters":
        return TOKEN.findall
    try:
        if code == "zh":
            import jieba

            jieba.setLogLevel("WARNING")
            return lambda line: list(jieba.cut(line))
        import fugashi

        tagger = fugashi.Tagger("-O wakati -b 50000")
        return lambda line: str(tagger.parse(line)).split()
    except (ImportError, RuntimeError) as error:
        raise LanguageScoreError(
            f"words of {code} need packages ({error}); run: pip install 'lsn-eval[confusion]', or "
            "take every character for a word with --segmenter characters (segmenter=characters)"
        ) from error
