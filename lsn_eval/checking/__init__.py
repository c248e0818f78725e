"""Results against a committed baseline."""

from lsn_eval.checking.checks import check
from lsn_eval.checking.findings import CheckResult

__all__ = ["CheckResult", "check"]
