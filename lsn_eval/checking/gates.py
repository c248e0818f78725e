"""Gates: what has to hold between numbers, whatever they are.

Every change is the shift on the metric's scale (`lsn_eval.results.scale`) since `none`, positive
where the metric gets worse.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lsn_eval.checking.baselines import BOUNDS, Gate
from lsn_eval.checking.findings import Finding, Verdict
from lsn_eval.results.rows import NO_CONDITION, Row
from lsn_eval.results.scale import scale_of, selectivity, shift
from lsn_eval.results.settings import differing
from lsn_eval.wording import numbers


class _UnmeasuredError(Exception):
    """A number that a gate needs is missing, or not comparable."""


@dataclass(frozen=True)
class Measured:
    """Rows of results by model, condition, task and metric, and the settings that may differ."""

    rows: Mapping[tuple[str, str, str, str], Sequence[Row]]
    allowed: Collection[str] = ()

    def conditions(self, model: str, pattern: str) -> list[str]:
        """A star stays within one name: `random*-de:zero` is no condition of two terms."""
        matching = re.compile("[^/:]*".join(map(re.escape, pattern.split("*"))))
        named = {condition for there, condition, _, _ in self.rows if there == model}
        return sorted(name for name in named if matching.fullmatch(name))

    def worsening(self, gate: Gate, model: str, language: str, condition: str) -> tuple[float, Row]:
        """Shift since `none`, positive where the metric gets worse."""
        task = gate.task.replace("{language}", language)
        base, row = (self._row(gate, model, task, name) for name in (NO_CONDITION, condition))
        if different := differing(base.settings, row.settings, self.allowed):
            raise _UnmeasuredError(
                f"{task} under {NO_CONDITION} and {condition} was measured with "
                f"{', '.join(different)}"
            )
        change = shift(row.value, base.value, scale_of(gate.metric))
        if change is None:
            raise _UnmeasuredError(
                f"{gate.metric} of {task} is {base.value} under none and {row.value} under "
                f"{condition}: there is no change on the scale of perplexities"
            )
        return (-change if row.higher_is_better else change), row

    def _row(self, gate: Gate, model: str, task: str, condition: str) -> Row:
        rows = self.rows.get((model, condition, task, gate.metric), ())
        if not rows:
            raise _UnmeasuredError(f"no {gate.metric} of {task} under {condition} in the results")
        if len(rows) > 1:
            raise _UnmeasuredError(
                f"{gate.metric} of {task} under {condition} is there {len(rows)} times: "
                f"{' and '.join(row.signature for row in rows)}"
            )
        if not rows[0].usable:
            raise _UnmeasuredError(f"{gate.metric} of {task} under {condition} is {rows[0].value}")
        return rows[0]


def gate_findings(
    gate: Gate, measured: Measured, models: Sequence[str], line: int | None
) -> Iterator[Finding]:
    """One for each model and language."""
    measures = {"selectivity": _selectivity, "control": _largest_control, "success": _success}
    measure = measures[gate.kind]
    for model in models:
        for language in gate.languages:
            condition = gate.condition.replace("{language}", language)
            try:
                value, message, unchanged = measure(gate, measured, model, language, condition)
            except _UnmeasuredError as error:
                value, message, unchanged = math.nan, str(error), False
            least = BOUNDS[gate.kind] == "at_least"
            met = value >= gate.bound if least else value < gate.bound
            allowed = f"{'>=' if least else '<'} {gate.bound:g}"
            yield Finding(
                Verdict.GATE_MET if met else Verdict.GATE_FAILED, f"{gate.kind}: {message}", model,
                condition, gate.task.replace("{language}", language), language, gate.metric,
                found=value, allowed=allowed, line=line, unchanged=unchanged,
            )  # fmt: skip


def _selectivity(
    gate: Gate, measured: Measured, model: str, language: str, condition: str
) -> tuple[float, str, bool]:
    changes = {other: measured.worsening(gate, model, other, condition) for other in gate.languages}
    own = changes[language][0]
    others = [change for other, (change, _) in changes.items() if other != language]
    value = selectivity(own, others)
    of_own, of_others = numbers.selectivity(own), numbers.selectivity(own - value)
    message = f"own {of_own}, mean of the others {of_others}"
    return value, message, any(row.unchanged for _, row in changes.values())


def _largest_control(
    gate: Gate, measured: Measured, model: str, language: str, condition: str
) -> tuple[float, str, bool]:
    """The largest change, in either direction, of any control on the own language."""
    names = measured.conditions(model, condition)
    if not names:
        raise _UnmeasuredError(f"no condition {condition} in the results")
    changes = {name: measured.worsening(gate, model, language, name) for name in names}
    most = max(changes, key=lambda name: abs(changes[name][0]))
    change, row = changes[most]
    message = f"{most} {numbers.selectivity(change)}, the largest of {len(names)}"
    return abs(change), message, row.unchanged != ()


def _success(
    gate: Gate, measured: Measured, model: str, language: str, condition: str
) -> tuple[float, str, bool]:
    """The number itself: what share of answers came in the language steered to."""
    change, row = measured.worsening(gate, model, language, condition)
    return row.value, f"{row.value:.3f}, {-change:+.3f} since {NO_CONDITION}", row.unchanged != ()
