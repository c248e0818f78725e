"""Single-answer grades from 1 to 10, and what is said of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lsn_eval.judge.prompts import last_value

LOWEST, HIGHEST = 1, 10
RESAMPLES = 2000
SEED = 0
LEVEL = 0.95


def read_grade(reply: str) -> int | None:
    """The number on the last line, `Grade: 7`; None where that line is anything else."""
    value = last_value(reply, "grade", r"[0-9]{1,2}(?:\s*/\s*10)?")
    grade = int(value.partition("/")[0]) if value else 0
    return grade if LOWEST <= grade <= HIGHEST else None


@dataclass(frozen=True)
class Grade:
    """A grade, or why there is none."""

    doc_id: str
    grade: float | None
    reason: str | None
    replies: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For a results file."""
        shown: dict[str, Any] = {"doc_id": self.doc_id, "grade": self.grade}
        if self.grade is None:
            shown["unjudged"] = self.reason
        return shown | {"replies": list(self.replies)}


@dataclass(frozen=True)
class GradeSummary:
    """What grades come to, by its names in a results file. The mean is over judged answers alone,
    None where there are none."""

    judged: int
    unjudged: int
    mean_grade: float | None
    interval_95: tuple[float, float] | None
    """Percentile bootstrap over judged answers, seeded; None for fewer than two."""
    unjudged_because: dict[str, int]
    """Why answers are unjudged, and how many."""

    @staticmethod
    def of(grades: Sequence[Grade]) -> GradeSummary:
        """The summary of `grades`."""
        judged = [grade.grade for grade in grades if grade.grade is not None]
        reasons = Counter(str(grade.reason) for grade in grades if grade.grade is None)
        return GradeSummary(
            judged=len(judged),
            unjudged=len(grades) - len(judged),
            mean_grade=float(np.mean(judged)) if judged else None,
            interval_95=mean_interval(judged),
            unjudged_because=dict(sorted(reasons.items())),
        )


def mean_interval(grades: Sequence[float]) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval of the mean; None for fewer than two grades."""
    if len(grades) < 2:
        return None
    drawn = np.random.default_rng(SEED).choice(np.asarray(grades), (RESAMPLES, len(grades)))
    low, high = np.quantile(drawn.mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
