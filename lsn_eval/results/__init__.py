"""Results files of any lm-eval run: one reader of runs, rows and samples, one choice among them.

rows = read_results([Path("sweep")])          numbers with what they were measured with
runs = read_runs([Path("sweep")])             the files, with their rows
rows = Choice(tasks=("xnli_*",)).rows(rows)   some of them
"""

from lsn_eval.results.choosing import Choice
from lsn_eval.results.rows import ResultsError, Row
from lsn_eval.results.run_files import RunFile, read_results, read_runs

__all__ = ["Choice", "ResultsError", "Row", "RunFile", "read_results", "read_runs"]
