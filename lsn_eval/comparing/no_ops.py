"""Conditions that changed nothing at all: most likely the intervention never happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lsn_eval.comparing.panels import Change, Panel
from lsn_eval.results.rows import NO_CONDITION, Row

Place = tuple[str, str, str]
"""Model, mask and condition."""


@dataclass
class _Seen:
    unmoved: bool = True
    logged: bool = True


def no_ops(panels: Sequence[Panel], rows: Sequence[Row] = ()) -> tuple[frozenset[Place], list[str]]:
    """Conditions, controls too, none of whose numbers differs from the one under `none`.

    Where samples were logged, what the model gave decides: equal accuracies of other
    log-likelihoods are no no-op. Where the hooks saw every value that they wrote, that decides.

    Args:
        rows: of tasks and metrics that no panel shows, too: a number of theirs that moved without
            samples to look at is enough.
    """
    moved = _moved(rows)
    seen: dict[Place, _Seen] = {}
    for panel in panels:
        for (condition, _), change in panel.changes.items():
            if condition == NO_CONDITION or change.difference is None:
                continue
            entry = seen.setdefault((panel.model, panel.mask, condition), _Seen())
            place = panel.model, panel.mask, condition
            proved = change.same_responses is not None or change.row.nothing_changed
            entry.unmoved &= _unmoved(change) and (proved or place not in moved)
            entry.logged &= proved
    unmoved = {place: entry for place, entry in seen.items() if entry.unmoved}
    return frozenset(unmoved), _notes(unmoved, len(seen))


def _moved(rows: Sequence[Row]) -> set[Place]:
    """Where any number differs from the same one under `none`."""
    baselines = {
        (row.model, row.dtype, row.task, row.name): row.value
        for row in rows
        if row.condition == NO_CONDITION and row.usable
    }
    return {
        (row.model, row.mask, row.condition)
        for row in rows
        if row.usable
        and row.condition != NO_CONDITION
        and row.value != baselines.get((row.model, row.dtype, row.task, row.name), row.value)
    }


def _unmoved(change: Change) -> bool:
    if change.row.nothing_changed:
        return True
    if change.same_responses is not None:
        return change.same_responses
    return change.difference == 0


def _notes(unmoved: dict[Place, _Seen], conditions: int) -> list[str]:
    if not unmoved:
        return []
    chance = (
        ""
        if all(entry.logged for entry in unmoved.values())
        else " (without samples, a metric with few values can be equal by chance)"
    )
    if len(unmoved) == conditions:
        return [
            f"under every condition {_same(unmoved.values())} none: a likely no-op, an "
            f"intervention that never happened{chance}"
        ]
    return [
        f"{condition} ({model}, mask {mask}): {_same([entry])} none: a likely no-op"
        f"{'' if entry.logged else chance}"
        for (model, mask, condition), entry in unmoved.items()
    ]


def _same(entries: Iterable[_Seen]) -> str:
    """What is known to be equal: scores of equal answers can differ, by another judge for one."""
    if all(entry.logged for entry in entries):
        return "the model did the same as under"
    return "every number equals the one under"
