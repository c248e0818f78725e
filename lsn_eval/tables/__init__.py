"""Tables of a comparison, and the formats they are written in."""

from lsn_eval.tables.own_language import own_table
from lsn_eval.tables.steering import answers_table, forcing_tables, success_table
from lsn_eval.tables.table import Cell, Table
from lsn_eval.tables.views import change_table

__all__ = [
    "Cell", "Table", "answers_table", "change_table", "forcing_tables", "own_table",
    "success_table",
]  # fmt: skip
