"""`Finding`: what a check says of one thing; `CheckResult`: all that it says."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from lsn_eval.wording.numbers import exact, finite
from lsn_eval.wording.shown import Shown

if TYPE_CHECKING:
    import pandas


class Verdict(StrEnum):
    """What a check says of one thing."""

    OK = "ok"
    IMPROVED = "improved"
    NEW = "new"
    GATE_MET = "gate met"
    REGRESSION = "regression"
    NOT_A_NUMBER = "not a number"
    MISSING_CONDITION = "missing condition"
    MISSING_TASK = "missing task"
    MISSING_METRIC = "missing metric"
    CHANGED_SIGNATURE = "changed signature"
    GATE_FAILED = "gate failed"

    @property
    def failing(self) -> bool:
        return self not in (Verdict.OK, Verdict.IMPROVED, Verdict.NEW, Verdict.GATE_MET)


@dataclass(frozen=True)
class Finding:
    """A verdict with what it is about; empty where it is about all of them."""

    verdict: Verdict
    message: str
    model: str
    condition: str = ""
    task: str = ""
    language: str | None = None
    metric: str = ""
    expected: float | None = None
    found: float | None = None
    allowed: str = ""
    """The tolerance with its direction, or the bound of a gate."""
    line: int | None = None
    """In the baseline file."""
    unchanged: bool = False
    """The intervention wrote what was there already."""

    @property
    def failing(self) -> bool:
        return self.verdict.failing

    def to_json(self) -> dict[str, Any]:
        """In plain types; a number that is not finite is null."""
        return {**finite(asdict(self)), "verdict": str(self.verdict), "failing": self.failing}


QUIET = (Verdict.OK, Verdict.GATE_MET)
"""Nobody needs to look at these."""


@dataclass(frozen=True, repr=False)
class CheckResult(Shown):
    """What `check` gives: every finding, failing ones first."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    """What concerns all of them: files left out, versions that changed, what was written."""

    @property
    def passed(self) -> bool:
        """Whether nothing fails: exit status 0 of `lsn-eval check`."""
        return not any(finding.failing for finding in self.findings)

    @property
    def outcome(self) -> str:
        """How many of each verdict, in one line."""
        counts = Counter(finding.verdict for finding in self.findings)
        parts = [f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict]]
        outcome = "passed" if self.passed else "FAILED"
        return f"{outcome}: {', '.join(parts) or 'nothing was compared'}"

    @property
    def remarkable(self) -> list[Finding]:
        """Everything but what is ok."""
        return [finding for finding in self.findings if finding.verdict not in QUIET]

    def summary(self) -> tuple[str, list[list[str]]]:
        """The outcome, and a line for everything but what is ok."""
        names = "verdict model condition task metric baseline now allowed what"
        rows = [names.split()]
        rows += [
            [
                str(finding.verdict), finding.model, finding.condition, finding.task,
                finding.metric, exact(finding.expected),
                exact(finding.found) + ("*" if finding.unchanged else ""), finding.allowed,
                finding.message,
            ]
            for finding in self.remarkable
        ]  # fmt: skip
        if len({finding.model for finding in self.findings}) == 1:
            rows = [[row[0], *row[2:]] for row in rows]
        return self.outcome, rows

    def to_frame(self) -> pandas.DataFrame:
        """One row a finding."""
        import pandas

        return pandas.DataFrame([finding.to_json() for finding in self.findings])

    def to_json(self) -> dict[str, Any]:
        """What `lsn-eval check --json` prints."""
        return {
            "passed": self.passed,
            "counts": Counter(str(finding.verdict) for finding in self.findings),
            "notes": list(self.notes),
            "findings": [finding.to_json() for finding in self.findings],
        }
