"""What `lsn-eval judge` writes and prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lsn_eval.judge.grades import Grade, GradeSummary
from lsn_eval.judge.pairwise import Comparison, PairSummary
from lsn_eval.judge.prompts import GRADE, PAIR
from lsn_eval.judge.saved import SavedAnswers
from lsn_eval.judge.session import JudgeSession, judge_signature
from lsn_eval.visible_text import one_line
from lsn_eval.wording.numbers import interval, p_value, plain
from lsn_eval.wording.text_tables import aligned

FORMAT = "lsn_judge"
VERSION = 1


@dataclass(frozen=True)
class Graded:
    """One task of one run, graded."""

    saved: SavedAnswers
    grades: Sequence[Grade]

    @property
    def summary(self) -> GradeSummary:
        """What the grades come to."""
        return GradeSummary.of(self.grades)

    def as_json(self) -> dict[str, Any]:
        """For the file."""
        return {
            **_side(self.saved),
            **self.summary.as_json(),
            "grades": [grade.as_json() for grade in self.grades],
        }


@dataclass(frozen=True)
class Compared:
    """One task of two runs, compared."""

    first: SavedAnswers
    second: SavedAnswers
    comparisons: Sequence[Comparison]

    @property
    def summary(self) -> PairSummary:
        """What the comparisons come to."""
        return PairSummary.of(self.comparisons)

    def as_json(self) -> dict[str, Any]:
        """For the file."""
        return {
            "first": _side(self.first),
            "second": _side(self.second),
            **self.summary.as_json(),
            "comparisons": [comparison.as_json() for comparison in self.comparisons],
        }


def _side(saved: SavedAnswers) -> dict[str, Any]:
    return {
        "task": saved.task,
        "source": saved.source,
        "condition": saved.condition,
        "signature": saved.signature,
        "answers": len(saved.answers),
    }


def document(
    judge: dict[str, Any], usage: dict[str, Any], graded: Sequence[Graded | Compared]
) -> dict[str, Any]:
    """The file."""
    kind = "pairwise" if isinstance(graded[0], Compared) else "graded"
    return {
        "format": FORMAT,
        "version": VERSION,
        "judge": judge,
        kind: [entry.as_json() for entry in graded],
        "usage": usage,
    }


def grade_table(graded: Sequence[Graded]) -> str:
    """A row a task and run."""
    rows = [["task", "condition", "answers", "judged", "unjudged", "grade", "95 % interval"]]
    for entry in graded:
        summary = entry.summary
        counts = len(entry.grades), summary.judged, summary.unjudged
        rows.append([
            entry.saved.task, entry.saved.name, *map(str, counts), plain(summary.mean),
            interval(summary.interval, plain),
        ])  # fmt: skip
    return "\n".join(aligned(rows, words=2))


def pair_table(compared: Sequence[Compared]) -> str:
    """A row a task."""
    counted = ["wins", "losses", "ties", "unjudged"]
    rows = [["task", "first", "second", *counted, "win rate", "95 % interval", "p"]]
    for entry in compared:
        summary = entry.summary
        shown = summary.as_json()
        rows.append([
            entry.first.task, entry.first.name, entry.second.name,
            *(str(shown[name]) for name in counted), plain(summary.win_rate),
            interval(summary.interval, plain), p_value(summary.p_value),
        ])  # fmt: skip
    return "\n".join(aligned(rows, words=3))


def notes(session: JudgeSession, graded: Sequence[Graded | Compared]) -> list[str]:
    """Lines below the table: signatures, and why answers are unjudged."""
    prompt = PAIR if isinstance(graded[0], Compared) else GRADE
    judged_with = judge_signature(session.settings.model, prompt)
    lines = []
    for entry in graded:
        sides = [entry.saved] if isinstance(entry, Graded) else [entry.first, entry.second]
        lines += [f"{side.name}: {side.signature or side.source}|{judged_with}" for side in sides]
        who = ", ".join([sides[0].task, *(side.name for side in sides)])
        lines += [
            f"{who}: {count} unjudged: {reason}" for reason, count in entry.summary.reasons.items()
        ]
    return [*map(one_line, lines), str(session.usage)]
