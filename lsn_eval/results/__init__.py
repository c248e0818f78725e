"""Results files of any lm-eval run: rows, settings, samples, signatures."""

from lsn_eval.results.rows import ResultsError, Row, read_results

__all__ = ["ResultsError", "Row", "read_results"]
