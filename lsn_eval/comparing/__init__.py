"""What conditions changed: tidy rows, panels of conditions x languages, paired tests, selectivity.

    rows = read_results(paths)                     numbers with what they were measured with
    comparison = compare(rows)                     panels; samples beside the files are read
    comparison.panels[0].change("de:zero", "de")   one cell: change, interval, p, controls

Needs neither torch nor lm_eval.
"""

from lsn_eval.comparing.comparison import Comparison, compare
from lsn_eval.comparing.paired import Draws
from lsn_eval.comparing.panels import Change, Panel, Selectivity

__all__ = ["Change", "Comparison", "Draws", "Panel", "Selectivity", "compare"]
