"""A comparison as tidy rows: one mapping a number, with all that is known of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from lsn_eval.comparing.no_ops import Place
from lsn_eval.comparing.panels import Change, Panel
from lsn_eval.results.controls import controlled
from lsn_eval.results.rows import NO_CONDITION, Row


def tidy(panels: Sequence[Panel], unmoved: Collection[Place]) -> Iterator[dict[str, Any]]:
    """What each number is, its change and what it was measured with.

    `shift`, `low` and `high` are on `scale`: log ratios of perplexities, differences of the rest.
    `unmoved` are likely no-ops.
    """
    numbers = set()
    for panel in panels:
        for change in panel.changes.values():
            row = change.row
            number = row.file, row.task, row.name
            if row.condition != NO_CONDITION or number not in numbers:
                yield _tidy(change, panel, (panel.model, panel.mask, row.condition) in unmoved)
            numbers.add(number)  # one under `none` stands in the panel of every mask


def _tidy(change: Change, panel: Panel, unmoved: bool) -> dict[str, Any]:
    row = change.row
    selectivity = panel.selectivity.get(row.condition)
    own = selectivity if selectivity and selectivity.language == row.language else None
    low, high = change.interval or (None, None)
    own_low, own_high = (own.interval if own else None) or (None, None)
    no_op = ["likely no-op: no number under this condition differs from none"] if unmoved else []
    return {
        **_named(row, "model task family language condition"),
        "control_of": controlled(row.condition),
        "metric": row.name,
        "value": row.value if row.usable else None,
        "stderr": row.stderr,
        "baseline": None if change.baseline is None else change.baseline.value,
        **_named(change, "difference relative ratio scale shift"),
        "low": low,
        "high": high,
        **_named(change, "p p_holm"),
        "documents": change.documents if change.documents is not None else row.documents,
        "controls": len(change.controls),
        "control_p": change.control_p,
        "selectivity": own.value if own else None,
        "selectivity_low": own_low,
        "selectivity_high": own_high,
        "selectivity_p": own.p if own else None,
        "mark": change.mark if row.condition != NO_CONDITION or change.contradicted else "",
        **_named(row, "mask method hookpoint neurons dtype shots older"),
        "obstacles": "; ".join(change.obstacles),
        "warnings": "; ".join([*row.warnings, *no_op]),
        "signature": row.signature,
        "file": str(row.file),
    }


def _named(item: Row | Change, names: str) -> dict[str, Any]:
    return {name: getattr(item, name) for name in names.split()}
