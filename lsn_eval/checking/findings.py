"""`Finding`: what a check says of one thing."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


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
        plain = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }
        return {**plain, "verdict": str(self.verdict), "failing": self.failing}
