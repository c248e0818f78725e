"""What `lsn-eval judge` writes and prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lsn_eval.judge.answers import SavedAnswers
from lsn_eval.judge.grades import Grade, GradeSummary
from lsn_eval.judge.pairwise import Comparison, PairSummary, same_questions
from lsn_eval.judge.session import JudgeSession, Progress, judge_signature
from lsn_eval.judge.settings import JudgeError
from lsn_eval.visible_text import one_line
from lsn_eval.wording.numbers import interval, p_value, plain
from lsn_eval.wording.text_tables import aligned

FORMAT = "lsn_judge"
VERSION = 1


@dataclass(frozen=True)
class Graded:
    """One task of one run, graded."""

    sides: tuple[SavedAnswers]
    grades: Sequence[Grade]

    kind = "graded"
    heading = ("task", "condition", "answers", "judged", "unjudged", "grade", "95 % interval")

    @property
    def summary(self) -> GradeSummary:
        """What the grades come to."""
        return GradeSummary.of(self.grades)

    def numbers(self) -> list[str]:
        """The cells of a row behind task and condition."""
        summary = self.summary
        counts = map(str, (len(self.grades), summary.judged, summary.unjudged))
        return [*counts, plain(summary.mean_grade), interval(summary.interval_95, plain)]

    def as_json(self) -> dict[str, Any]:
        """For the file."""
        grades = [grade.as_json() for grade in self.grades]
        return {**_side(self.sides[0]), **vars(self.summary), "grades": grades}


@dataclass(frozen=True)
class Compared:
    """One task of two runs, compared."""

    sides: tuple[SavedAnswers, SavedAnswers]
    comparisons: Sequence[Comparison]

    kind = "pairwise"
    heading = (
        "task", "first", "second", "wins", "losses", "ties", "unjudged", "win rate",
        "95 % interval", "p",
    )  # fmt: skip

    @property
    def summary(self) -> PairSummary:
        """What the comparisons come to."""
        return PairSummary.of(self.comparisons)

    def numbers(self) -> list[str]:
        """The cells of a row behind task and conditions."""
        summary = self.summary
        counts = map(str, (summary.wins, summary.losses, summary.ties, summary.unjudged))
        ends = interval(summary.interval_95, plain)
        return [*counts, plain(summary.win_rate), ends, p_value(summary.p_value)]

    def as_json(self) -> dict[str, Any]:
        """For the file."""
        first, second = map(_side, self.sides)
        summary = {**vars(self.summary)}
        del summary["unjudged_because"]  # each comparison says why
        comparisons = [comparison.as_json() for comparison in self.comparisons]
        return {"first": first, "second": second, **summary, "comparisons": comparisons}


Judged = Sequence[Graded] | Sequence[Compared]
Runs = Sequence[Sequence[SavedAnswers]]


def grade(session: JudgeSession, runs: Runs, progress: Progress) -> list[Graded]:
    """Every task of every run, in one go: the last answers of one do not keep the next waiting."""
    saved = [task for run in runs for task in run]
    answers = [answer for task in saved for answer in task.answers]
    grades = iter(session.grade(answers, progress))
    return [Graded((task,), [next(grades) for _ in task.answers]) for task in saved]


def compare(session: JudgeSession, runs: Runs, progress: Progress) -> list[Compared]:
    """Two runs, task by task.

    Raises:
        JudgeError: their tasks or questions are not the same.
    """
    tasks = [[task.task for task in run] for run in runs]
    if not len(tasks[0]) == len(tasks[1]) == 1 and tasks[0] != tasks[1]:
        raise JudgeError(
            f"the runs hold different tasks: {', '.join(tasks[0])} and {', '.join(tasks[1])}"
        )
    sides = list(zip(*runs, strict=True))
    pairs = [same_questions(*side) for side in sides]
    comparisons = iter(session.compare([pair for task in pairs for pair in task], progress))
    return [
        Compared(side, [next(comparisons) for _ in task])
        for side, task in zip(sides, pairs, strict=True)
    ]


def _side(saved: SavedAnswers) -> dict[str, Any]:
    return {**vars(saved), "answers": len(saved.answers)}


def document(session: JudgeSession, judged: Judged, usage: dict[str, Any]) -> dict[str, Any]:
    """The file."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "judge": session.as_json(session.prompt(judged[0].kind)),
        judged[0].kind: [entry.as_json() for entry in judged],
        "usage": usage,
    }


def printed(session: JudgeSession, judged: Judged) -> list[str]:
    """Lines: a table, and below it signatures, and why answers are unjudged."""
    judged_with = judge_signature(session.settings.model, session.prompt(judged[0].kind))
    rows, notes = [list(judged[0].heading)], []
    for entry in judged:
        names = [entry.sides[0].task, *(side.name for side in entry.sides)]
        rows.append([*names, *entry.numbers()])
        notes += [f"{side.name}: {side.signature or side.source}|{judged_with}"
                  for side in entry.sides]  # fmt: skip
        notes += [f"{', '.join(names)}: {count} unjudged: {reason}"
                  for reason, count in entry.summary.unjudged_because.items()]  # fmt: skip
    words = 1 + len(judged[0].sides)
    return [*aligned(rows, words), "", *map(one_line, notes), str(session.usage)]
