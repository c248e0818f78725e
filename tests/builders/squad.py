"""SQuAD's exact match and F1 as plain loops."""

from __future__ import annotations

import re
import string


def plain_scores(reference: str, answer: str) -> tuple[int, float]:
    """Section 6.1 of the paper, slowly: overlap of two bags, each word matched once."""

    def words(text: str) -> list[str]:
        text = re.sub("[" + re.escape(string.punctuation) + "]", "", text.lower())
        kept = []
        for word in re.findall(r"\w+|[^\w\s]+|\s+", text, re.UNICODE):
            kept.append(" " if word in ("a", "an", "the") else word)
        return "".join(kept).split()

    left, right = words(reference), words(answer)
    if not left or not right:
        return int(left == right), float(left == right)
    unmatched, overlap = list(right), 0
    for word in left:
        if word in unmatched:
            unmatched.remove(word)
            overlap += 1
    precision, recall = overlap / len(right), overlap / len(left)
    harmonic = 0.0 if overlap == 0 else 2 * precision * recall / (precision + recall)
    return int(left == right), harmonic
