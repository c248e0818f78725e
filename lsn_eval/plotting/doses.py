"""How much of an intervention a condition is: its scale, its number, or its neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from lsn_eval.comparing import Change, Panel
from lsn_eval.comparing.doses import dose_of
from lsn_eval.comparing.panels import own_language
from lsn_eval.errors import LsnError
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.wording.lists import listed

By = Literal["scale", "value", "added", "multiple", "neurons"]
BASELINE_AT: dict[By, float] = {"scale": 1.0, "added": 0.0}
"""The dose that changes nothing; a number written and a count of neurons have none to show."""

AXIS_NAMES: dict[By, str] = {
    "scale": "activations scaled by",
    "value": "activations set to",
    "added": "added to activations",
    "multiple": "times the statistic",
    "neurons": "neurons written",
}


@dataclass
class Family:
    """Conditions that differ in their dose alone."""

    name: str
    own: str | None
    """The language that they are about."""
    points: dict[str, dict[float, Change]] = field(default_factory=dict)
    """By language of the text and dose."""
    clashes: set[tuple[str, str, float]] = field(default_factory=set)
    """Two masks that would both stand at a dose."""

    @property
    def doses(self) -> list[float]:
        """From the lowest to the highest, without the baseline's."""
        return sorted({dose for points in self.points.values() for dose in points})

    def steps(self, by: By) -> int:
        """Doses with the baseline's, where that has a place on the axis."""
        changes = [change for points in self.points.values() for change in points.values()]
        compared = any(change.baseline is not None for change in changes)
        extra = {BASELINE_AT[by]} if by in BASELINE_AT and compared else set()
        return len({*self.doses, *extra})


def families(panels: Sequence[Panel], by: By) -> list[Family]:
    """Families of the panels in their order; those of several masks apart, unless the masks'
    sizes are the doses: then those of several methods."""
    cells = [
        (panel, condition, language, change)
        for panel in panels
        for condition in panel.conditions
        for language in panel.languages
        if condition != NO_CONDITION and (change := panel.change(condition, language))
    ]
    several_masks = len({panel.mask for panel in panels}) > 1
    # Neurons of one method are no smaller dose of another's.
    several_methods = len({change.row.method for *_, change in cells}) > 1
    found: dict[str, Family] = {}
    for panel, condition, language, change in cells:
        if by == "neurons":
            name, dose = condition, float(change.row.neurons)
            name += f", method {change.row.method}" if several_methods else ""
        elif (dosed := _dosed(condition, by)) is not None:
            name, dose = dosed
            name += f", mask {panel.mask}" if several_masks else ""
        else:
            continue
        family = found.setdefault(name, Family(name, own_language(condition)))
        there = family.points.setdefault(language, {}).setdefault(dose, change)
        if by == "neurons" and there is not change:
            family.clashes.add((there.row.mask, change.row.mask, dose))
    return list(found.values())


def curves_by(panels: Sequence[Panel], by: By) -> list[Family]:
    """The families, if there is a curve to draw.

    Raises:
        LsnError: no condition has such a dose, or there is one single dose.
    """
    found = families(panels, by)
    if not found:
        raise LsnError(
            f"no condition has a dose by {by}; there are {_named(panels)}. {_remedy(by)}"
        )
    for family in found:
        for first, second, dose in sorted(family.clashes)[:1]:
            raise LsnError(
                f"{family.name}: the masks {first} and {second} both stand at {dose:,.6g} by {by}; "
                "masks of different sizes were expected: give the results of one of them"
            )
    if max(family.steps(by) for family in found) < 2:
        there = [
            f"{family.name} at {' and '.join(f'{dose:,.6g}' for dose in family.doses)}"
            for family in found
        ]
        raise LsnError(
            f"one single dose by {by} makes no curve: there are {listed(there)}. {_remedy(by)}"
        )
    return found


def _remedy(by: By) -> str:
    others = ", ".join(other for other in get_args(By) if other != by)
    return f"Leave --by out, choose another ({others}), or evaluate conditions with other doses"


def _named(panels: Sequence[Panel]) -> str:
    return ", ".join(dict.fromkeys(name for panel in panels for name in panel.conditions))


def varying(panels: Sequence[Panel]) -> By:
    """What most conditions of a family differ in, the scale before the rest where they are equal.

    Raises:
        LsnError: no two conditions differ in a dose.
    """
    counts = {by: _most_doses(panels, by) for by in get_args(By)}
    best = max(counts, key=lambda by: counts[by])
    if counts[best] < 2:
        raise LsnError(
            "no two conditions differ in their dose alone; conditions such as de:x0.5 and de:x0, "
            "de:1 and de:2, de:+1 and de:+2, or masks of different sizes were expected, and there "
            f"are {_named(panels)}"
        )
    return best


def _most_doses(panels: Sequence[Panel], by: By) -> int:
    found = families(panels, by)
    if by in ("scale", "value"):
        # zero belongs to both; what it stands beside says which is meant.
        found = [family for family in found if any(dose != 0 for dose in family.doses)]
    return max((family.steps(by) for family in found), default=0)


def _dosed(condition: str, by: By) -> tuple[str, float] | None:
    """The family and the dose of a condition; None if it has no such dose."""
    dose = dose_of(condition)
    # Off is a scale of 0 and a value of 0 alike.
    kinds = {"scale", "value"} if dose and dose.kind == "scale" and dose.amount == 0 else set()
    if dose is None or by not in {dose.kind, *kinds}:
        return None
    return "/".join(dose.neurons) + (f" {dose.of}" if dose.of else ""), dose.amount
