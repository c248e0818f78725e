"""One HTML file about results: what was run, what changed, and how to run it again.

    report("sweep", "report.html")

Needs neither torch nor lm_eval.
"""

from lsn_eval.reporting.failures import ReportError
from lsn_eval.reporting.page import ReportOptions, Written, report

__all__ = ["ReportError", "ReportOptions", "Written", "report"]
