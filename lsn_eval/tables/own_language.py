"""Each condition of a panel on its own language: change, test, controls, selectivity."""

from __future__ import annotations

from lsn_eval.comparing import Draws, Panel
from lsn_eval.comparing.panels import own_language
from lsn_eval.tables.table import Cell, Mark, Table
from lsn_eval.tables.views import controls_cell, default_show, detail, legend, shift_writer
from lsn_eval.wording.numbers import interval, p_value, selectivity


def own_table(panel: Panel, draws: Draws) -> Table | None:
    """Each condition on its own language, with interval, test, controls, and its selectivity; None
    where no condition has a language that was measured."""
    write = shift_writer(panel.scale)
    rows = []
    for condition in panel.conditions:
        language = own_language(condition)
        change = panel.change(condition, language) if language else None
        if change is None or language is None:
            continue
        if change.shift is None:
            reasons = Cell("", mark="refused", detail="; ".join(change.obstacles))
            rows.append((Cell(condition), Cell(language), reasons, *[Cell("")] * 7))
            continue
        rows.append(
            (
                Cell(condition),
                Cell(language),
                Cell(write(change.shift), change.shift, change.mark, detail(change, draws)),
                Cell(interval(change.interval, write)),
                Cell(p_value(change.p_holm), change.p_holm),
                controls_cell(list(change.controls.values()), write),
                Cell(p_value(change.control_p), change.control_p),
                *_selectivity_cells(panel, condition),
            )
        )
    if not rows:
        return None
    log = panel.scale == "log"
    ranks = "of more perplexity"
    if not log:
        ranks = "in either direction (selectivity: by how much further the own language moved)"
    scale = "log perplexity" if log else panel.metric
    signs = legend(rows, draws, default_show(panel))
    if elsewhere := [name for name, found in panel.selectivity.items() if found.elsewhere]:
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
    found = panel.selectivity.get(condition)
    if found is None:
        return Cell(""), Cell(""), Cell("")
    mark: Mark = "undecided" if found.undecided else ""
    if panel.contradicted(condition):
        mark = "contradicted"
    return (
        Cell(selectivity(found.value), found.value, mark),
        Cell(interval(found.interval, selectivity)),
        Cell(p_value(found.p), found.p),
    )
