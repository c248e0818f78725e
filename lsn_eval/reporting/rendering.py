"""The pages' templates with their style and script, and what templates are told about cells."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lsn_eval.comparing.panels import SIGNS, Mark
from lsn_eval.tables import Cell, Table
from lsn_eval.visible_text import visible
from lsn_eval.wording.lists import counted

if TYPE_CHECKING:
    import jinja2


def sort_value(cell: Cell) -> str | None:
    """What JavaScript's `Number` reads; None for words and for no number."""
    if cell.value is None or math.isnan(cell.value):
        return None
    if math.isinf(cell.value):
        return "Infinity" if cell.value > 0 else "-Infinity"
    return repr(float(cell.value))


def number_columns(table: Table) -> set[int]:
    """Columns whose cells are numbers, apart from empty ones."""
    return {
        place
        for place in range(1, len(table.columns))
        if any(cells[place].value is not None for cells in table.rows if place < len(cells))
    }


def diagonal(matrix: Table) -> dict[str, str]:
    """The own column of each row: the one of its name."""
    return {cells[0].text: cells[0].text for cells in matrix.rows}


_WORDS: Mapping[Mark, str] = {
    "undecided": "undecided: the interval holds 0",
    "refused": "refused: no change could be given",
    "contradicted": "contradicted: the samples of it, or of none, give another number",
    "unchanged": "unchanged: equal to what was there before",
    "doubtful": "doubtful: not to be compared with the other rows",
}
MARKS = {mark: (sign, _WORDS[mark]) for mark, sign in SIGNS.items() if mark}
"""Sign and words of a mark."""


def rendered(template: str, context: Mapping[str, Any]) -> bytes:
    """A page in UTF-8. `visible` sees every value, so that each character has bytes."""
    return _environment().get_template(template).render(context).lstrip().encode("utf-8")


@functools.lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    import jinja2
    from markupsafe import Markup

    def finalize(value: Any) -> Any:
        """Every value of the page passes here, and is escaped afterwards."""
        return value if isinstance(value, Markup) else visible(str(value))

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_own_file),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name, text in (("style", _own_file("page.css")), ("script", _own_file("page.js"))):
        # As a content security policy names what may run.
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        environment.globals.update({name: Markup(text), f"{name}_hash": f"sha256-{digest}"})
    environment.globals.update(
        marks=MARKS,
        counted=counted,
        sort_value=sort_value,
        number_columns=number_columns,
        matrix_own=diagonal,
    )
    return environment


def _own_file(name: str) -> str:
    return (importlib.resources.files("lsn_eval.reporting") / name).read_text("utf-8")
