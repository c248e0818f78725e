"""`Baseline`: what the numbers were when they were last accepted, and how far they may move.

- `runs`: model, condition, and the parts of the signature that do not depend on the task;
- `tasks`: version, shots and documents of each task;
- `values`: one number, its tolerance, and the direction in which it is worse;
- `gates`: conditions between numbers, written by hand and kept by every update.

`lsn_eval.checking.baseline_files` reads and writes it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.results.rows import NO_CONDITION, Row

DEFAULT_TOLERANCE = 0.01
"""Relative."""
KINDS = ("relative", "absolute", "stderr")
DIRECTIONS = ("lower", "higher", "both")
RUN_PARTS = ("dtype", "mask", "method", "hookpoint")
DATA_PARTS = ("version", "shots", "documents")


class BaselineError(LsnError):
    """A baseline file that cannot be used, or results that make none."""


@dataclass(frozen=True)
class Tolerance:
    """How far a number may move: relative to it, absolutely, or in its standard errors."""

    kind: str
    amount: float

    @staticmethod
    def parse(text: str) -> Tolerance:
        """`0.01` and `1%` are relative, `0.5abs` is absolute, `2se` are standard errors.

        Raises:
            BaselineError: it is none of these.
        """
        match = re.fullmatch(r"([0-9]*\.?[0-9]+(?:[eE]-?[0-9]+)?)(%|abs|se)?", text.strip())
        if match is None:
            raise BaselineError(
                f"--tolerance {text!r}: 0.01 or 1% (relative), 0.5abs (absolute) or 2se (standard "
                "errors) was expected"
            )
        amount = float(match[1])
        if match[2] == "abs":
            return Tolerance("absolute", amount)
        if match[2] == "se":
            return Tolerance("stderr", amount)
        return Tolerance("relative", amount / 100 if match[2] == "%" else amount)

    def allowed(self, value: float, stderr: float | None) -> float:
        """The largest move from `value` that passes."""
        if self.kind == "relative":
            return self.amount * abs(value)
        if self.kind == "stderr":
            return self.amount * (stderr if stderr is not None else math.nan)
        return self.amount

    def __str__(self) -> str:
        return {
            "relative": f"{100 * self.amount:g}%",
            "absolute": f"{self.amount:g}",
            "stderr": f"{self.amount:g} se",
        }[self.kind]


@dataclass(frozen=True)
class Value:
    """One number of a baseline."""

    model: str
    condition: str
    task: str
    language: str | None
    metric: str
    value: float
    tolerance: Tolerance
    worse: str
    """`lower`, `higher`, or `both`: any move beyond the tolerance is a regression."""
    stderr: float | None = None

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.model, self.condition, self.task, self.metric

    def to_json(self) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "model": self.model,
            "condition": self.condition,
            "task": self.task,
            "language": self.language,
            "metric": self.metric,
            "value": self.value,
            "tolerance": {self.tolerance.kind: self.tolerance.amount},
            "worse": self.worse,
        }
        return entry if self.stderr is None else {**entry, "stderr": self.stderr}


@dataclass(frozen=True)
class Gate:
    """A condition between numbers; `{language}` in task and condition stands for each language."""

    kind: str
    """`selectivity` or `control`."""
    metric: str
    task: str
    languages: tuple[str, ...]
    condition: str
    bound: float
    """`at_least` of a selectivity gate, `below` of a control gate."""
    model: str | None = None

    def to_json(self) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "gate": self.kind,
            "metric": self.metric,
            "task": self.task,
            "languages": list(self.languages),
            "condition": self.condition,
            BOUNDS[self.kind]: self.bound,
        }
        return entry if self.model is None else {**entry, "model": self.model}


BOUNDS = {"selectivity": "at_least", "control": "below"}
"""What a gate's bound is called, by the kind of gate."""


@dataclass(frozen=True)
class Baseline:
    """A baseline file in memory."""

    runs: Mapping[tuple[str, str], Mapping[str, str]]
    """`RUN_PARTS` of each (model, condition)."""
    tasks: Mapping[tuple[str, str], Mapping[str, Any]]
    """`DATA_PARTS` of each (model, task)."""
    values: tuple[Value, ...]
    gates: tuple[Gate, ...] = ()
    metrics: tuple[str, ...] | None = None
    """The metrics that it holds; None for all there are."""
    path: Path | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    """Line of an entry in the file, by the entry as canonical JSON."""

    @property
    def models(self) -> set[str]:
        return {model for model, _ in self.runs}

    def line(self, entry: Mapping[str, Any]) -> int | None:
        """Where an entry of this file stands in it."""
        return self.lines.get(canonical(entry))


def canonical(entry: Any) -> str:
    """An entry as text that does not depend on the order of its keys."""
    return json.dumps(entry, sort_keys=True)


def make_baseline(
    rows: Sequence[Row],
    previous: Baseline | None = None,
    *,
    tolerance: Tolerance | None = None,
    metrics: Sequence[str] | None = None,
) -> Baseline:
    """A baseline of what `rows` hold; tolerance, direction and gates of `previous` are kept.

    A new number is worse in the direction that its metric states under `none`, and in both
    directions under any other condition: there a better score, too, says that the intervention
    changed. A tolerance in standard errors becomes the default one where there is no standard
    error.

    Raises:
        BaselineError: a number is none, or a task differs between conditions.
    """
    tolerance = tolerance or Tolerance("relative", DEFAULT_TOLERANCE)
    wanted = tuple(sorted(metrics)) if metrics else previous.metrics if previous else None
    rows = chosen(rows, wanted)
    if not rows:
        names = "" if wanted is None else f" of {', '.join(wanted)}"
        raise BaselineError(f"the results hold no number{names}: there is nothing to keep")
    old = {value.key: value for value in previous.values} if previous else {}
    runs: dict[tuple[str, str], Mapping[str, str]] = {}
    tasks: dict[tuple[str, str], Mapping[str, Any]] = {}
    values = []
    for row in rows:
        if not row.usable:
            raise BaselineError(
                f"{row.name} of {row.task} under {row.condition} is {row.value} in {row.file}; "
                "only a finite number can be a baseline. Evaluate again, or name the metrics to "
                "keep with --metric"
            )
        _put(runs, (row.model, row.condition), run_parts(row), row)
        _put(tasks, (row.model, row.task), data_parts(row), row)
        before = old.get((row.model, row.condition, row.task, row.name))
        values.append(_value(row, before, tolerance))
    return Baseline(runs, tasks, tuple(values), previous.gates if previous else (), wanted)


def chosen(rows: Sequence[Row], metrics: Sequence[str] | None) -> list[Row]:
    """Rows of the metrics that a baseline holds."""
    return [row for row in rows if metrics is None or row.name in metrics or row.metric in metrics]


def run_parts(row: Row) -> dict[str, str]:
    """What of a row's signature belongs to the run."""
    return {part: getattr(row, part) for part in RUN_PARTS}


def data_parts(row: Row) -> dict[str, Any]:
    """What of a row's signature belongs to the task."""
    return {part: getattr(row, part) for part in DATA_PARTS}


def _put(table: dict[Any, Any], key: tuple[str, str], parts: Mapping[str, Any], row: Row) -> None:
    before = table.setdefault(key, parts)
    if before != parts:
        differing = ", ".join(
            f"{part} {before[part]} and {parts[part]}"
            for part in parts
            if before[part] != parts[part]
        )
        raise BaselineError(
            f"{key[1]} of {key[0]} was run with {differing} ({row.file}); one baseline holds one "
            "of them: give the results of one kind, or run the others again"
        )


def _value(row: Row, before: Value | None, tolerance: Tolerance) -> Value:
    kept = before.tolerance if before else tolerance
    if kept.kind == "stderr" and row.stderr is None:
        kept = Tolerance("relative", DEFAULT_TOLERANCE)
    worse = "both"
    if row.condition == NO_CONDITION and row.higher_is_better is not None:
        worse = "lower" if row.higher_is_better else "higher"
    return Value(
        row.model, row.condition, row.task, row.language, row.name, row.value, kept,
        before.worse if before else worse,
        row.stderr if kept.kind == "stderr" else None,
    )  # fmt: skip
