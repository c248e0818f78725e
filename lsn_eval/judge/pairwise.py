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

from lsn_eval.judge.answers import Answer, SavedAnswers
from lsn_eval.judge.prompts import last_value
from lsn_eval.judge.settings import JudgeError

FIRST, SECOND, TIE, SPLIT, SAME, UNJUDGED = (
    "first", "second", "tie", "orders_disagree", "same_answer", "unjudged",
)  # fmt: skip


def read_verdict(reply: str) -> str | None:
    """`A`, `B` or `tie` on the last line, `Verdict: A`; None where that line is anything else."""
    value = last_value(reply, "verdict", "a|b|tie") or ""
    return {"a": "A", "b": "B", "tie": "tie"}.get(value.lower())


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
    agreed = {("A", "B"): FIRST, ("B", "A"): SECOND, ("tie", "tie"): TIE}
    return agreed.get((first_as_a, first_as_b), SPLIT)


@dataclass(frozen=True)
class PairSummary:
    """What comparisons come to, by its names in a results file."""

    wins: int
    losses: int
    ties: int
    ties_because: dict[str, int]
    """Tie in both orders, orders that disagree, one answer."""
    unjudged: int
    win_rate: float | None
    """The first side's, over questions with a winner."""
    interval_95: tuple[float, float] | None
    """Wilson score interval."""
    p_value: float | None
    """Two-sided exact binomial test of a win rate of one half (a sign test: ties left out)."""
    unjudged_because: dict[str, int]
    """Why questions are unjudged, and how many."""

    @staticmethod
    def of(comparisons: Sequence[Comparison]) -> PairSummary:
        """The summary of `comparisons`."""
        counts = Counter(comparison.result for comparison in comparisons)
        decided = counts[FIRST] + counts[SECOND]
        test = stats.binomtest(counts[FIRST], decided) if decided else None
        wilson = test.proportion_ci(0.95, method="wilson") if test else None
        ties = {name: counts[name] for name in (TIE, SPLIT, SAME)}
        return PairSummary(
            wins=counts[FIRST],
            losses=counts[SECOND],
            ties=sum(ties.values()),
            ties_because=ties,
            unjudged=counts[UNJUDGED],
            win_rate=counts[FIRST] / decided if decided else None,
            interval_95=(float(wilson.low), float(wilson.high)) if wilson else None,
            p_value=float(test.pvalue) if test else None,
            unjudged_because=dict(Counter(c.reason for c in comparisons if c.reason is not None)),
        )

    @property
    def judged(self) -> int:
        """Questions that have a result."""
        return self.wins + self.losses + self.ties


def same_questions(first: SavedAnswers, second: SavedAnswers) -> list[tuple[Answer, Answer]]:
    """The answers of both sides, question by question.

    Raises:
        JudgeError: the two do not answer the same questions.
    """
    differ = f"{first.source} and {second.source} answer different questions: document"
    one, other = ({answer.doc_id: answer for answer in side.answers} for side in (first, second))
    for side, here, there in ((first, one, other), (second, other, one)):
        alone = [doc_id for doc_id in here if doc_id not in there]
        if alone:
            raise JudgeError(
                f"{differ} {alone[0]} ({len(alone)} in all) is in {side.source} alone; run both "
                "conditions on the same documents (--limit, --samples)"
            )
    for doc_id, answer in one.items():
        if answer.question != other[doc_id].question:
            raise JudgeError(
                f"{differ} {doc_id} asks {answer.question[:60]!r} in one and "
                f"{other[doc_id].question[:60]!r} in the other"
            )
    return [(answer, other[doc_id]) for doc_id, answer in one.items()]
