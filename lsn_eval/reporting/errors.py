"""Errors of a report that a user can mend."""

from __future__ import annotations

from lsn_eval.errors import LsnError


class ReportError(LsnError):
    """A report that cannot be made of what was given, or written where it was asked for."""
