"""Two answers to each question, compared in both orders.

A side wins where both orders say so. Where they contradict each other, or say tie, it is a tie: a
judge that favours a position then wins nobody anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from lsn_eval.judge.answers import Answer
from lsn_eval.judge.errors import JudgeError
from lsn_eval.judge.prompts import reader

_read = reader("verdict", "a|b|tie")

FIRST, SECOND, TIE, SPLIT, SAME, UNJUDGED = (
    "first", "second", "tie", "orders_disagree", "same_answer", "unjudged",
)  # fmt: skip


def read_verdict(reply: str) -> str | None:
    """`A`, `B` or `tie` on the last line, `Verdict: A`; None where that line is anything else."""
    value = (_read(reply) or "").lower()
    return {"a": "A", "b": "B", "tie": "tie"}.get(value)


@dataclass(frozen=True)
class Comparison:
    """The result for one question."""

    doc_id: str
    result: str
    """first, second, tie, orders_disagree, same_answer or unjudged."""
    reason: str | None
    replies: tuple[tuple[str, ...], tuple[str, ...]]
    """With the first side as A, and with it as B."""

    def as_json(self) -> dict[str, Any]:
        """For a results file."""
        shown: dict[str, Any] = {"doc_id": self.doc_id, "result": self.result}
        if self.reason is not None:
            shown["unjudged"] = self.reason
        return shown | {"replies": [list(replies) for replies in self.replies]}


def agree(first_as_a: str | None, first_as_b: str | None) -> str:
    """The result of the two verdicts on one question."""
    if first_as_a is None or first_as_b is None:
        return UNJUDGED
    swapped = {"A": "B", "B": "A", "tie": "tie"}[first_as_b]
    if first_as_a != swapped:
        return SPLIT
    return {"A": FIRST, "B": SECOND, "tie": TIE}[first_as_a]


@dataclass(frozen=True)
class PairSummary:
    """What comparisons come to; the win rate is the first side's, over questions with a winner."""

    counts: dict[str, int]
    win_rate: float | None
    interval: tuple[float, float] | None
    """95 % Wilson score interval."""
    p_value: float | None
    """Two-sided exact binomial test of a win rate of one half (a sign test: ties left out)."""
    reasons: dict[str, int]
    """Why questions are unjudged, and how many."""

    @staticmethod
    def of(comparisons: Sequence[Comparison]) -> PairSummary:
        """The summary of `comparisons`."""
        seen = Counter(comparison.result for comparison in comparisons)
        counts = {name: seen[name] for name in (FIRST, SECOND, TIE, SPLIT, SAME, UNJUDGED)}
        reasons = dict(Counter(c.reason for c in comparisons if c.reason is not None))
        decided = counts[FIRST] + counts[SECOND]
        if not decided:
            return PairSummary(counts, None, None, None, reasons)
        test = stats.binomtest(counts[FIRST], decided)
        wilson = test.proportion_ci(0.95, method="wilson")
        return PairSummary(
            counts,
            counts[FIRST] / decided,
            (float(wilson.low), float(wilson.high)),
            float(test.pvalue),
            reasons,
        )

    @property
    def judged(self) -> int:
        """Questions that have a result."""
        return sum(self.counts.values()) - self.counts[UNJUDGED]

    @property
    def ties(self) -> int:
        """Questions that nobody wins: tie in both orders, orders that disagree, one answer."""
        return self.counts[TIE] + self.counts[SPLIT] + self.counts[SAME]

    def as_json(self) -> dict[str, Any]:
        """For a results file."""
        return {
            "wins": self.counts[FIRST],
            "losses": self.counts[SECOND],
            "ties": self.ties,
            "ties_because": {name: self.counts[name] for name in (TIE, SPLIT, SAME)},
            "unjudged": self.counts[UNJUDGED],
            "win_rate": self.win_rate,
            "interval_95": None if self.interval is None else list(self.interval),
            "p_value": self.p_value,
        }


def same_questions(
    first: Sequence[Answer], second: Sequence[Answer], names: tuple[str, str]
) -> list[tuple[Answer, Answer]]:
    """The answers of both sides, question by question.

    Raises:
        JudgeError: the two do not answer the same questions.
    """
    sides = [{answer.doc_id: answer for answer in side} for side in (first, second)]
    for name, side, other in zip(names, sides, sides[::-1], strict=True):
        alone = [doc_id for doc_id in side if doc_id not in other]
        if alone:
            raise JudgeError(
                f"{names[0]} and {names[1]} answer different questions: document {alone[0]} "
                f"({len(alone)} in all) is in {name} alone; run both conditions on the same "
                "documents (--limit, --samples)"
            )
    for doc_id, answer in sides[0].items():
        if answer.question != sides[1][doc_id].question:
            raise JudgeError(
                f"{names[0]} and {names[1]} answer different questions: document {doc_id} asks "
                f"{answer.question[:60]!r} in one and {sides[1][doc_id].question[:60]!r} in the "
                "other"
            )
    return [(answer, sides[1][doc_id]) for doc_id, answer in sides[0].items()]
