"""`Answer`: what one condition gave for a document, its language, and what the baseline's lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from lsn_eval.language_scores import codes, load_identifier
from lsn_eval.language_scores.identification import EMPTY, UNDETERMINED
from lsn_eval.language_scores.metrics import TOKEN
from lsn_eval.results.samples import Sample
from lsn_eval.visible_text import shortened

LONGEST = 2000
"""Characters kept of a prompt or an answer that is shown."""
LEAST_LETTERS = 12
"""Of a telling answer: a guess about less is none."""
MOST_WORDS = 400
"""Of each text that are compared; what follows them is not marked."""


@dataclass(frozen=True)
class Answer:
    """What one condition gave for a document."""

    condition: str
    digest: str
    """Of the document."""
    prompt: str
    target: str
    text: str
    """The first answer, no longer than was asked for, as every text here."""
    cut: int
    """Characters beyond that."""
    rest: int
    """A hash of these."""
    others: int
    """Further answers to the same document."""
    filtered: str | None
    """What was scored, where it differs."""
    detected: str
    """Language of the text."""
    probability: float | None
    right: bool | None
    """Whether it is the task's; None where the task has none."""
    changed: bool = False
    """Whether it is another than the baseline's, without a baseline than the task's."""
    pieces: Sequence[tuple[str, bool]] = ()
    """Of the text, and whether the baseline lacks them; none where it has the very same."""

    @staticmethod
    def of(sample: Sample, condition: str, expected: str | None, longest: int) -> Answer:
        """Of a sample that was read with its texts."""
        texts = sample.texts
        assert texts is not None
        whole = texts.answers[0] if texts.answers else ""
        scored = texts.filtered[0] if texts.filtered and texts.filtered[0] != whole else None
        detected, probability = load_identifier().probable(whole[:LONGEST])
        return Answer(
            condition=condition,
            digest=sample.document[1],
            prompt=shortened(texts.prompt, longest),
            target=shortened(texts.target, longest),
            text=whole[:longest],
            cut=max(0, len(whole) - longest),
            rest=hash(whole[longest:]),
            others=max(0, len(texts.answers) - 1),
            filtered=None if scored is None else shortened(scored, longest),
            detected=detected,
            probability=probability,
            right=None if expected is None else codes.counts_as(detected, expected),
        )

    @property
    def lang(self) -> str | None:
        """For the attribute of that name."""
        return None if self.detected in (EMPTY, UNDETERMINED) else self.detected

    @property
    def clear(self) -> float:
        """How sure its language is, from 0."""
        enough = sum(map(str.isalpha, self.text)) >= LEAST_LETTERS
        return self.probability or 0.0 if enough else 0.0


@dataclass(frozen=True)
class Telling:
    """An answer whose language an intervention changed, as clearly as none other."""

    task: str
    number: int
    baseline: Answer
    answer: Answer
    clear: float
    """How sure both languages are."""


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
