"""Results against a baseline: one verdict for every number, every gate, and all that is not there.

What cannot be compared is never ok: a number measured with another mask, dtype or task version is
a changed signature, whatever its value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lsn_eval.checking.baselines import Baseline, Gate, Value, chosen, data_parts, run_parts
from lsn_eval.results.rows import NO_CONDITION, Row
from lsn_eval.wording.lists import listed
from lsn_eval.wording.numbers import exact

_Key = tuple[str, str, str, str]


class Verdict(StrEnum):
    """What a check says of one thing."""

    OK = "ok"
    IMPROVED = "improved"
    NEW = "new"
    GATE_MET = "gate met"
    REGRESSION = "regression"
    NOT_A_NUMBER = "not a number"
    MISSING_CONDITION = "missing condition"
    MISSING_TASK = "missing task"
    MISSING_METRIC = "missing metric"
    CHANGED_SIGNATURE = "changed signature"
    GATE_FAILED = "gate failed"

    @property
    def failing(self) -> bool:
        return self not in (Verdict.OK, Verdict.IMPROVED, Verdict.NEW, Verdict.GATE_MET)


@dataclass(frozen=True)
class Finding:
    """A verdict with what it is about; empty where it is about all of them."""

    verdict: Verdict
    message: str
    model: str
    condition: str = ""
    task: str = ""
    language: str | None = None
    metric: str = ""
    expected: float | None = None
    found: float | None = None
    allowed: str = ""
    """The tolerance with its direction, or the bound of a gate."""
    line: int | None = None
    """In the baseline file."""
    unchanged: bool = False
    """The intervention wrote what was there already."""

    @property
    def failing(self) -> bool:
        return self.verdict.failing

    def to_json(self) -> dict[str, Any]:
        """In plain types; a number that is not finite is null."""
        return {
            "verdict": str(self.verdict),
            "failing": self.failing,
            "message": self.message,
            "model": self.model,
            "condition": self.condition,
            "task": self.task,
            "language": self.language,
            "metric": self.metric,
            "expected": _finite(self.expected),
            "found": _finite(self.found),
            "allowed": self.allowed,
            "line": self.line,
            "unchanged": self.unchanged,
        }


def check(rows: Sequence[Row], baseline: Baseline) -> list[Finding]:
    """Every finding, failing ones first, in the order of the baseline within."""
    # A gate may be about a metric that the values leave out.
    everything = {(row.model, row.condition, row.task, row.name): row for row in rows}
    rows = chosen(rows, baseline.metrics)
    renamed = _renamed(rows, baseline)
    found = {(row.model, row.condition, row.task, row.name): row for row in rows}
    findings = [
        *_changed_runs(rows, baseline, renamed),
        *_changed_tasks(rows, baseline, renamed),
        *_values(found, baseline, renamed),
        *_new(rows, baseline, renamed),
        *(
            finding
            for gate in baseline.gates
            for finding in _gate(gate, everything, baseline, renamed)
        ),
    ]
    return sorted(findings, key=lambda finding: not finding.failing)


def _renamed(rows: Sequence[Row], baseline: Baseline) -> dict[str, str]:
    """The name in the results of each model of the baseline.

    Where both hold one model, it is the same one under another name or a different one: its
    signature changed, instead of everything missing and everything new.
    """
    there, before = {row.model for row in rows}, baseline.models
    if len(there) == len(before) == 1:
        return dict(zip(before, there, strict=True))
    return {model: model for model in before}


def _changed_parts(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{part} {before[part]} -> {now[part]}" for part in before if before[part] != now[part]
    )


def _run_change(model: str, before: Mapping[str, str], row: Row) -> str:
    return _changed_parts({"model": model, **before}, {"model": row.model, **run_parts(row)})


def _changed_runs(
    rows: Sequence[Row], baseline: Baseline, renamed: Mapping[str, str]
) -> Iterator[Finding]:
    by_run: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_run.setdefault((row.model, row.condition), []).append(row)
    for (model, condition), before in baseline.runs.items():
        here = by_run.get((renamed[model], condition), [])
        changes = dict.fromkeys(_run_change(model, before, row) for row in here)
        for change in filter(None, changes):
            entry = {"model": model, "condition": condition, **before}
            yield Finding(
                Verdict.CHANGED_SIGNATURE, change, model, condition, line=baseline.line(entry)
            )


def _changed_tasks(
    rows: Sequence[Row], baseline: Baseline, renamed: Mapping[str, str]
) -> Iterator[Finding]:
    by_task: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_task.setdefault((row.model, row.task), []).append(row)
    for (model, task), before in baseline.tasks.items():
        changes: dict[str, list[str]] = {}
        for row in by_task.get((renamed[model], task), []):
            conditions = changes.setdefault(_changed_parts(before, data_parts(row)), [])
            if row.condition not in conditions:
                conditions.append(row.condition)
        for change, conditions in changes.items():
            if change:
                entry = {"model": model, "task": task, **before}
                yield Finding(
                    Verdict.CHANGED_SIGNATURE, f"{change} (under {listed(conditions, 3)})", model,
                    task=task, line=baseline.line(entry),
                )  # fmt: skip


def _values(
    found: Mapping[_Key, Row], baseline: Baseline, renamed: Mapping[str, str]
) -> Iterator[Finding]:
    conditions = {(model, condition) for model, condition, _, _ in found}
    tasks = {(model, condition, task) for model, condition, task, _ in found}
    said: set[tuple[str, ...]] = set()
    for value in baseline.values:
        model = renamed[value.model]
        line = baseline.line(value.to_json())
        row = found.get((model, value.condition, value.task, value.metric))
        if row is not None:
            runs = baseline.runs[value.model, value.condition]
            data = baseline.tasks[value.model, value.task]
            # Said once for the run or the task; the number itself cannot be compared.
            if not _run_change(value.model, runs, row) and data == data_parts(row):
                yield _compare(value, row, line)
        elif (model, value.condition) not in conditions:
            if (value.model, value.condition) not in said:
                said.add((value.model, value.condition))
                yield Finding(
                    Verdict.MISSING_CONDITION, "in the baseline, not in the results", value.model,
                    value.condition, line=line,
                )  # fmt: skip
        elif (model, value.condition, value.task) not in tasks:
            if (value.model, value.condition, value.task) not in said:
                said.add((value.model, value.condition, value.task))
                yield Finding(
                    Verdict.MISSING_TASK, "in the baseline, not in the results", value.model,
                    value.condition, value.task, value.language, line=line,
                )  # fmt: skip
        else:
            yield Finding(
                Verdict.MISSING_METRIC, "in the baseline, not in the results", value.model,
                value.condition, value.task, value.language, value.metric, value.value, line=line,
            )  # fmt: skip


def _compare(value: Value, row: Row, line: int | None) -> Finding:
    move = row.value - value.value
    allowed = value.tolerance.allowed(value.value, value.stderr)
    if not row.usable:
        verdict, message = Verdict.NOT_A_NUMBER, f"{row.value} in {row.file}"
    elif abs(move) <= allowed:
        verdict, message = Verdict.OK, ""
    else:
        message = f"{exact(value.value)} -> {exact(row.value)} ({_change(value.value, move)})"
        worse = value.worse == "both" or (value.worse == "higher") == (move > 0)
        verdict = Verdict.REGRESSION if worse else Verdict.IMPROVED
    side = {"both": "+-", "higher": "+", "lower": "-"}[value.worse]
    return Finding(
        verdict, message, value.model, value.condition, value.task, value.language, value.metric,
        value.value, row.value, f"{side}{value.tolerance}", line, bool(row.unchanged),
    )  # fmt: skip


def _new(rows: Sequence[Row], baseline: Baseline, renamed: Mapping[str, str]) -> Iterator[Finding]:
    """Said once for a new condition, once for a new task of it, else for each metric."""
    names = {there: before for before, there in renamed.items()}
    values = {value.key for value in baseline.values}
    tasks = {(model, condition, task) for model, condition, task, _ in values}
    said: set[tuple[str, str, str, str]] = set()
    for row in rows:
        model = names.get(row.model, row.model)
        if (model, row.condition, row.task, row.name) in values:
            continue
        task, metric, language = row.task, row.name, row.language
        if (model, row.condition) not in baseline.runs:
            task, metric, language = "", "", None
        elif (model, row.condition, row.task) not in tasks:
            metric = ""
        if (model, row.condition, task, metric) not in said:
            said.add((model, row.condition, task, metric))
            yield Finding(
                Verdict.NEW, "in the results, not in the baseline; --update adds it", model,
                row.condition, task, language, metric, found=row.value if metric else None,
            )  # fmt: skip


# Gates ---------------------------------------------------------------------------------------


class _Unmeasured(Exception):
    """A number that a gate needs is missing, or not comparable."""


def _gate(
    gate: Gate, found: Mapping[_Key, Row], baseline: Baseline, renamed: Mapping[str, str]
) -> Iterator[Finding]:
    # Without a single number there is no model either, and the gate is not met for that.
    models = sorted({key[0] for key in found}) or sorted(baseline.models) or ["no model"]
    if gate.model:
        models = [renamed.get(gate.model, gate.model)]
    line = baseline.line(gate.to_json())
    measure = _selectivity if gate.kind == "selectivity" else _largest_control
    for model in models:
        for language in gate.languages:
            condition = gate.condition.replace("{language}", language)
            value, message, unchanged = math.nan, "", False
            try:
                value, message, unchanged = measure(gate, found, model, language, condition)
            except _Unmeasured as error:
                message = str(error)
            met = value >= gate.bound if gate.kind == "selectivity" else value < gate.bound
            sign = ">=" if gate.kind == "selectivity" else "<"
            yield Finding(
                Verdict.GATE_MET if met else Verdict.GATE_FAILED, f"{gate.kind}: {message}", model,
                condition, gate.task.replace("{language}", language), language, gate.metric,
                found=value, allowed=f"{sign} {gate.bound:g}", line=line, unchanged=unchanged,
            )  # fmt: skip


def _selectivity(
    gate: Gate, found: Mapping[_Key, Row], model: str, language: str, condition: str
) -> tuple[float, str, bool]:
    """How much worse the own language gets, minus the largest change of any other."""
    changes = {other: _worsening(gate, found, model, other, condition) for other in gate.languages}
    own, _ = changes.pop(language)
    most = max(changes, key=lambda other: abs(changes[other][0]))
    message = f"own {own:+.1%}, {most} {changes[most][0]:+.1%}"
    return own - abs(changes[most][0]), message, any(row.unchanged for _, row in changes.values())


def _largest_control(
    gate: Gate, found: Mapping[_Key, Row], model: str, language: str, condition: str
) -> tuple[float, str, bool]:
    """The largest change, in either direction, of any control on the own language."""
    # A star stays within one name: random*-de:zero is no condition of two terms.
    pattern = re.compile("[^/:]*".join(map(re.escape, condition.split("*"))))
    names = sorted({key[1] for key in found if key[0] == model and pattern.fullmatch(key[1])})
    if not names:
        raise _Unmeasured(f"no condition {condition} in the results")
    changes = {name: _worsening(gate, found, model, language, name) for name in names}
    most = max(changes, key=lambda name: abs(changes[name][0]))
    message = f"{most} {changes[most][0]:+.1%}, the largest of {len(names)}"
    return abs(changes[most][0]), message, changes[most][1].unchanged != ()


def _worsening(
    gate: Gate, found: Mapping[_Key, Row], model: str, language: str, condition: str
) -> tuple[float, Row]:
    """Relative change against `none`, positive where the metric gets worse."""
    task = gate.task.replace("{language}", language)
    pair = []
    for name in (NO_CONDITION, condition):
        row = found.get((model, name, task, gate.metric))
        if row is None:
            raise _Unmeasured(f"no {gate.metric} of {task} under {name} in the results")
        if not row.usable:
            raise _Unmeasured(f"{gate.metric} of {task} under {name} is {row.value}")
        pair.append(row)
    base, row = pair
    parts = _changed_parts(
        {"dtype": base.dtype, **data_parts(base)}, {"dtype": row.dtype, **data_parts(row)}
    )
    if parts:
        raise _Unmeasured(f"{task} under {NO_CONDITION} and {condition} differ: {parts}")
    if base.value == 0:
        raise _Unmeasured(f"{gate.metric} of {task} is 0 under none: there is no relative change")
    change = (row.value - base.value) / abs(base.value)
    return (-change if row.higher_is_better else change), row


# Words ---------------------------------------------------------------------------------------


def _change(value: float, move: float) -> str:
    return f"{move:+.4g}" if value == 0 else f"{move / abs(value):+.2%}"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
