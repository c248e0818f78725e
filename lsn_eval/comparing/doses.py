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

Kind = Literal["scale", "value", "added", "multiple"]
_KINDS: dict[str, Kind] = {"scale": "scale", "set": "value", "add": "added"}


@dataclass(frozen=True)
class Dose:
    """A number that is the same for all neurons of a condition."""

    neurons: tuple[str, ...]
    """WHO of every term, with the positions that it writes at."""
    kind: Kind
    """Activations scaled by, set to, or added to; off is a scale of 0, however it is written. Or a
    multiple of a statistic, whether it is set or added."""
    amount: float
    of: str = ""
    """The statistic of a multiple, as it is written: `mean`, `+mean`."""

    @property
    def strength(self) -> float:
        """How far from changing nothing; off is farthest."""
        if self.kind == "scale":
            return abs(self.amount - 1) if self.amount else float("inf")
        return abs(self.amount)


def dose_of(condition: str) -> Dose | None:
    """None for `none`, for what was tuned, and where the terms do different things."""
    terms = Condition.parse(condition).terms
    done = {(term.operation, term.operand, term.factor) for term in terms}
    if all(operand == 0 and operation != "add" for operation, operand, _ in done):
        done = {("scale", 0.0, 1.0)} if done else done
    if len(done) != 1:
        return None
    operation, operand, factor = done.pop()
    whos = tuple(term.who + term.at for term in terms)
    if operation == "tune":
        return None
    if isinstance(operand, str):
        return Dose(whos, "multiple", factor, "+" * (operation == "add") + operand)
    return Dose(whos, _KINDS[operation], operand)


def dose_series(conditions: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Every condition but `none`, of a dose series the strongest alone, each with the weaker ones.

    A series is what writes the same neurons with doses of one kind.
    """
    series: dict[object, dict[str, float]] = defaultdict(dict)
    for condition in conditions:
        if dose := dose_of(condition):
            key = frozenset(dose.neurons), dose.kind, dose.of
            series[key][condition] = dose.strength
        elif condition != "none":
            series[condition][condition] = 0.0
    ordered = (sorted(doses, key=doses.__getitem__, reverse=True) for doses in series.values())
    return {strongest: tuple(weaker) for strongest, *weaker in ordered}
