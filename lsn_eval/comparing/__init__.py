"""What conditions changed: panels of conditions x languages, paired tests, selectivity.

    comparison = compare("sweep")                  results files, folders, or rows of them
    comparison.panels[0].change("de:zero", "de")   one cell: change, interval, p, controls
    comparison.to_frame()                          one row a number, for pandas

Needs neither torch nor lm_eval.
"""

from lsn_eval.comparing.answer_languages import with_targets
from lsn_eval.comparing.comparison import Comparison, compare
from lsn_eval.comparing.doses import dose_series
from lsn_eval.comparing.paired import Draws
from lsn_eval.comparing.pairs import Pair, pairs
from lsn_eval.comparing.panels import Change, Panel, Selectivity

__all__ = [
    "Change", "Comparison", "Draws", "Pair", "Panel", "Selectivity", "compare", "dose_series",
    "pairs", "with_targets",
]  # fmt: skip
