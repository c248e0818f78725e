"""Each condition of a panel on its own language: change, test, controls, selectivity."""

from __future__ import annotations

from lsn_eval.comparing import Draws, Panel
from lsn_eval.comparing.panels import Mark, judged_language, shift_writer
from lsn_eval.conditions import is_tuned
from lsn_eval.tables.table import Cell, Table
from lsn_eval.tables.views import change_cells, default_show, legend
from lsn_eval.wording.numbers import interval, p_value, selectivity


def own_table(panel: Panel, draws: Draws) -> Table | None:
    """Each condition on its own language, with interval, test, controls, and its selectivity; None
    where no condition has a language that was measured."""
    write = shift_writer(panel.scale)
    rows = []
    for condition in panel.conditions:
        language = judged_language(condition, panel.scale) or ""
        change = panel.change(condition, language)
        if change is not None:
            cells = change_cells(change, write, draws)
            own = _selectivity_cells(panel, condition)
            rows.append((Cell(condition), Cell(language), *cells, *own))
    if not rows:
        return None
    log = panel.scale == "log"
    ranks = "in either direction (selectivity: by how much further the own language moved)"
    ranks, scale = ("of more perplexity", "log perplexity") if log else (ranks, panel.metric)
    if log and any(map(is_tuned, panel.conditions)):
        ranks += ", of tuned ones of less"
    signs = legend(rows, draws, default_show(panel))
    if elsewhere := [name for name, of_one in panel.selectivity.items() if of_one.elsewhere]:
        signs.append(f"not selective, the other languages changed more: {', '.join(elsewhere)}")
    given = len(panel.selectivity)
    if given < len(rows):
        signs.append(
            f"selectivity is given for {given} of {len(rows)} conditions: it needs a comparable "
            "change on every language, of two at least"
        )
    return Table(
        title=f"{panel.title}: each condition on its own language",
        columns=(
            "condition", "language", "change", f"{draws.level:.0%} interval", "p (Holm)",
            "controls", "rank p", "selectivity", f"{draws.level:.0%} interval ", "rank p ",
        ),
        rows=tuple(rows),
        notes=(
            f"Selectivity is the change in {scale} on the condition's own language minus the mean "
            f"of the changes on the other languages. Rank p: among the controls, {ranks}; n of "
            "them can show 1 / (n + 1).",
            *signs,
            str(draws)
            if any(change.interval for change in panel.changes.values())
            else "Without logged samples there are neither intervals nor tests over documents.",
        ),
    )  # fmt: skip


def _selectivity_cells(panel: Panel, condition: str) -> tuple[Cell, Cell, Cell]:
    of_one = panel.selectivity.get(condition)
    if of_one is None:
        return Cell(""), Cell(""), Cell("")
    mark: Mark = "undecided" if of_one.undecided else ""
    if panel.contradicted(condition):
        mark = "contradicted"
    return (
        Cell(selectivity(of_one.value), of_one.value, mark),
        Cell(interval(of_one.interval, selectivity)),
        Cell(p_value(of_one.p), of_one.p),
    )
