"""`Dose`: how much of one thing a condition does to its neurons.

Conditions that do more or less of the same to the same neurons (`de:zero`, `de:x0.25`, `de:x0.5`)
are one dose series: one finding, which whatever counts conditions counts once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lsn_eval.conditions import Condition

Kind = Literal["scale", "value", "added"]
_KINDS: dict[str, Kind] = {"scale": "scale", "set": "value", "add": "added"}


@dataclass(frozen=True)
class Dose:
    """A number that is the same for all neurons of a condition."""

    neurons: tuple[str, ...]
    """WHO of every term, with the positions that it writes at."""
    kind: Kind
    """Activations scaled by, set to, or added to; off is a scale of 0, however it is written."""
    amount: float

    @property
    def strength(self) -> float:
        """How far from changing nothing; off is farthest."""
        if self.kind == "scale":
            return abs(self.amount - 1) if self.amount else float("inf")
        return abs(self.amount)


def dose_of(condition: str) -> Dose | None:
    """None for `none`, for statistics, and where the terms do different things."""
    terms = Condition.parse(condition).terms
    operands = {term.operand for term in terms}
    amount = operands.pop() if len(operands) == 1 else ""
    if isinstance(amount, str):
        return None
    kinds = {_KINDS[term.operation] for term in terms}
    if amount == 0:
        kinds = {"scale" if kind == "value" else kind for kind in kinds}
    whos = tuple(term.who + term.at for term in terms)
    return Dose(whos, kinds.pop(), amount) if len(kinds) == 1 else None


def dose_series(conditions: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Every condition but `none`, of a dose series the strongest alone, each with the weaker ones.

    A series is what writes the same neurons with doses of one kind.
    """
    series: dict[object, dict[str, float]] = defaultdict(dict)
    for condition in conditions:
        if dose := dose_of(condition):
            series[frozenset(dose.neurons), dose.kind][condition] = dose.strength
        elif condition != "none":
            series[condition][condition] = 0.0
    ordered = (sorted(doses, key=doses.__getitem__, reverse=True) for doses in series.values())
    return {strongest: tuple(weaker) for strongest, *weaker in ordered}
