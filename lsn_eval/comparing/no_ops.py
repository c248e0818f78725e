"""Conditions that changed nothing at all: most likely the intervention never happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from lsn_eval.comparing.panels import Change, Panel
from lsn_eval.results.rows import NO_CONDITION, Row

Place = tuple[str, str, str]
"""Model, mask and condition."""


def no_ops(panels: Sequence[Panel], rows: Sequence[Row] = ()) -> tuple[frozenset[Place], list[str]]:
    """Conditions, controls too, none of whose numbers differs from the one under `none`.

    Where samples were logged, what the model gave decides: equal accuracies of other
    log-likelihoods are no no-op. Where the hooks saw every value that they wrote, that decides.

    Args:
        rows: of tasks and metrics that no panel shows, too: a number of theirs that moved without
            samples to look at is enough.
    """
    moved = _moved(rows)
    facts: dict[Place, list[tuple[bool, bool]]] = defaultdict(list)
    for panel in panels:
        for (condition, _), change in panel.changes.items():
            if condition != NO_CONDITION and change.difference is not None:
                place = panel.model, panel.mask, condition
                proved = change.same_responses is not None or change.row.nothing_changed
                unmoved = _unmoved(change) and (proved or place not in moved)
                facts[place].append((unmoved, proved))
    still = {
        place: all(proved for _, proved in of_place)
        for place, of_place in facts.items()
        if all(unmoved for unmoved, _ in of_place)
    }
    return frozenset(still), list(_notes(still, len(facts)))


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
    return change.difference == 0 if change.same_responses is None else change.same_responses


def _notes(still: Mapping[Place, bool], conditions: int) -> Iterator[str]:
    """What is known to be equal: scores of equal answers can differ, by another judge for one."""
    numbers = "every number equals the one under none: a likely no-op"
    chance = " (without samples, a metric with few values can be equal by chance)"
    model_did = "the model did the same as under none: a likely no-op"
    never = ", an intervention that never happened"
    if still and len(still) == conditions:
        proved = all(still.values())
        yield f"under every condition {model_did + never if proved else numbers + never + chance}"
        return
    for (model, mask, condition), proved in still.items():
        yield f"{condition} ({model}, mask {mask}): {model_did if proved else numbers + chance}"
