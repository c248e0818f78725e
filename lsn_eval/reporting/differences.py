"""What an answer has that the baseline's has not, word by word."""

from __future__ import annotations

from difflib import SequenceMatcher

from lsn_eval.language_scores.metrics import TOKEN

MOST_WORDS = 400
"""Of each text that are compared; what follows them is not marked."""


def marked(text: str, baseline: str) -> list[tuple[str, bool]]:
    """Pieces that make up the text, and whether the baseline lacks them.

    Words are compared, in scripts without spaces characters; white space never counts.
    """
    words = [found.span() for found in TOKEN.finditer(text)][:MOST_WORDS]
    before = [found[0] for found in TOKEN.finditer(baseline)][:MOST_WORDS]
    # Its own rule for frequent words keeps the time bounded where there are many.
    matcher = SequenceMatcher(None, before, [text[start:end] for start, end in words])
    pieces: list[tuple[str, bool]] = []
    done = 0
    for kind, _, _, first, last in matcher.get_opcodes():
        if kind in ("insert", "replace"):
            start, end = words[first][0], words[last - 1][1]
            pieces += [(text[done:start], False), (text[start:end], True)]
            done = end
    return [piece for piece in [*pieces, (text[done:], False)] if piece[0]]
