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
    """Markdown: a row a task and run."""
    return _table(
        ["task", "condition", "answers", "judged", "unjudged", "grade", "95 % interval"],
        [
            [entry.saved.task, entry.saved.name, len(entry.grades), summary.judged,
             summary.unjudged, _number(summary.mean), _interval(summary.interval)]
            for entry in graded for summary in [entry.summary]
        ],
    )  # fmt: skip


def pair_table(compared: Sequence[Compared]) -> str:
    """Markdown: a row a task."""
    return _table(
        ["task", "first", "second", "wins", "losses", "ties", "unjudged", "win rate",
         "95 % interval", "p"],
        [
            [entry.first.task, entry.first.name, entry.second.name,
             *(summary.as_json()[name] for name in ("wins", "losses", "ties", "unjudged")),
             _number(summary.win_rate), _interval(summary.interval), _number(summary.p_value)]
            for entry in compared for summary in [entry.summary]
        ],
    )  # fmt: skip


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


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(value: tuple[float, float] | None) -> str:
    return "-" if value is None else f"{value[0]:.3f} to {value[1]:.3f}"


def _table(header: list[str], rows: list[list[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    cells = [[one_line(str(cell)).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
