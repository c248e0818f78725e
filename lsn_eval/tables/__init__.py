"""Tables of a comparison, and the formats they are written in."""

from lsn_eval.tables.own_language import own_table
from lsn_eval.tables.table import Cell, Table
from lsn_eval.tables.views import change_table

__all__ = ["Cell", "Table", "change_table", "own_table"]
