"""Conditions that changed nothing at all: most likely the intervention never happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lsn_eval.comparing.panels import Change, Panel
from lsn_eval.results import NO_CONDITION

Place = tuple[str, str, str]
"""Model, mask and condition."""


@dataclass
class _Seen:
    unmoved: bool = True
    logged: bool = True


def no_ops(panels: Sequence[Panel]) -> tuple[frozenset[Place], list[str]]:
    """Conditions, controls too, none of whose numbers differs from the one under `none`.

    Where samples were logged, what the model gave decides: equal accuracies of other
    log-likelihoods are no no-op.
    """
    seen: dict[Place, _Seen] = {}
    for panel in panels:
        for (condition, _), change in panel.changes.items():
            if condition == NO_CONDITION or change.difference is None:
                continue
            entry = seen.setdefault((panel.model, panel.mask, condition), _Seen())
            entry.unmoved &= _unmoved(change)
            entry.logged &= change.same_responses is not None
    unmoved = {place: entry for place, entry in seen.items() if entry.unmoved}
    return frozenset(unmoved), _notes(unmoved, len(seen))


def _unmoved(change: Change) -> bool:
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
            "every number under every condition equals the one under none: a likely no-op, an "
            f"intervention that never happened{chance}"
        ]
    return [
        f"{condition} ({model}, mask {mask}): every number equals the one under none: a likely "
        f"no-op{'' if entry.logged else chance}"
        for (model, mask, condition), entry in unmoved.items()
    ]
