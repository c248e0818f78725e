"""Errors of the judge that a user can mend."""

from __future__ import annotations

from lsn_eval.errors import LsnError


class JudgeError(LsnError):
    """No key, a judge that cannot be reached, or generations that cannot be graded."""
