"""How much of a text says again what it has said."""

from __future__ import annotations

import regex

NGRAM = 4

_SPACELESS = "".join(
    rf"\p{{sc={script}}}"
    for script in ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
)
_TOKEN = regex.compile(rf"[{_SPACELESS}]|[^\s{_SPACELESS}]+")


def repetition(text: str) -> float:
    """seq-rep-4 of Welleck et al. (2020, section 6.1): 1 - distinct 4-grams / 4-grams.

    Tokens are words between white space; in scripts that write without spaces, characters. 0 for
    a text of fewer than four tokens, which cannot repeat a 4-gram.
    """
    tokens = _TOKEN.findall(text)
    ngrams = [tuple(tokens[start : start + NGRAM]) for start in range(len(tokens) - NGRAM + 1)]
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0
