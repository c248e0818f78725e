"""`Baseline`: what the numbers were when they were last accepted, and how far they may move.

- `runs`: model, condition, and what was done to which neurons;
- `tasks`: model, task, and the settings that numbers of it were measured with;
- `values`: one number, its tolerance, and the direction in which it is worse;
- `gates`: conditions between numbers, written by hand and kept by every update.

`lsn_eval.checking.baseline_files` reads and writes it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.results.choosing import ALL, Choice
from lsn_eval.results.rows import NO_CONDITION, Number, Row
from lsn_eval.results.settings import VERSIONS, differences, differing

KINDS = ("relative", "absolute", "stderr")
DIRECTIONS = ("lower", "higher", "both")
DONE = ("mask", "method", "hookpoint")
"""Of a run: what its condition was done with."""


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
        amount = float(match[1]) / (100 if match[2] == "%" else 1)
        return Tolerance({"abs": "absolute", "se": "stderr"}.get(match[2], "relative"), amount)

    def allowed(self, value: float, stderr: float | None) -> float:
        """The largest move from `value` that passes."""
        if self.kind == "relative":
            return self.amount * abs(value)
        if self.kind == "stderr":
            return self.amount * (stderr if stderr is not None else math.nan)
        return self.amount

    def __str__(self) -> str:
        if self.kind == "relative":
            return f"{100 * self.amount:g}%"
        return f"{self.amount:g}{' se' if self.kind == 'stderr' else ''}"


DEFAULT_TOLERANCE = Tolerance("relative", 0.01)


@dataclass(frozen=True)
class Value(Number):
    """One number of a baseline; its standard error, where the tolerance is in those."""

    tolerance: Tolerance
    worse: str
    """`lower`, `higher`, or `both`: any move beyond the tolerance is a regression."""

    def to_json(self) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "model": self.model,
            "condition": self.condition,
            "task": self.task,
            "language": self.language,
            "metric": self.name,
            "value": self.value,
            "tolerance": {self.tolerance.kind: self.tolerance.amount},
            "worse": self.worse,
        }
        return entry if self.stderr is None else {**entry, "stderr": self.stderr}


@dataclass(frozen=True)
class Gate:
    """A condition between numbers; `{language}` in task and condition stands for each language."""

    kind: str
    """`selectivity`, `control` or `success`."""
    metric: str
    task: str
    languages: tuple[str, ...]
    condition: str
    bound: float
    """`below` of a control gate, `at_least` of the others."""
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


BOUNDS = {"selectivity": "at_least", "control": "below", "success": "at_least"}
"""What a gate's bound is called, by the kind of gate."""


@dataclass(frozen=True)
class Baseline:
    """A baseline file in memory."""

    runs: Mapping[tuple[str, str], Mapping[str, str]]
    """What was `DONE` under each (model, condition)."""
    tasks: Mapping[tuple[str, str], Mapping[str, str]]
    """Settings (`lsn_eval.results.settings`) of each (model, task)."""
    values: tuple[Value, ...]
    gates: tuple[Gate, ...] = ()
    metrics: tuple[str, ...] | None = None
    """Names or patterns of the metrics that it holds; None for all there are."""
    path: Path | None = None
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    """Line in the file of ("run", model, condition), ("task", model, task), ("value", *key) and
    ("gate", number)."""
    notes: tuple[str, ...] = ()
    """What a reader of the file should know."""

    @property
    def models(self) -> set[str]:
        return {model for model, _ in self.runs}

    @property
    def kept(self) -> Choice:
        """The numbers that it is about."""
        return Choice(metrics=self.metrics or (ALL,))

    def changes(
        self, row: Row, model: str, allowed: Collection[str] = ()
    ) -> dict[str, tuple[str, str]]:
        """In what a row was measured otherwise, by name: before and now; `model` is the row's model
        as the baseline calls it."""
        before = {
            "model": model,
            **self.runs.get((model, row.condition), {}),
            **self.tasks.get((model, row.task), {}),
        }
        now = {"model": row.model, **done(row), **row.settings}
        # A file of an older version names fewer settings.
        return differences(before, {name: now[name] for name in before if name in now}, allowed)


def done(row: Row) -> dict[str, str]:
    """What was done to which neurons in the run of a row."""
    return {part: getattr(row, part) for part in DONE}


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
        BaselineError: a number is none, or a task or a condition was measured in two ways.
    """
    tolerance = tolerance or DEFAULT_TOLERANCE
    wanted = tuple(sorted(metrics)) if metrics else previous.metrics if previous else None
    kept = Choice(metrics=wanted or (ALL,))
    rows = [row for row in rows if kept.means(row)]
    if not rows:
        names = "" if wanted is None else f" of {', '.join(wanted)}"
        raise BaselineError(f"the results hold no number{names}: there is nothing to keep")
    old = {value.key: value for value in previous.values} if previous else {}
    runs: dict[tuple[str, str], dict[str, str]] = {}
    tasks: dict[tuple[str, str], dict[str, str]] = {}
    values = []
    for row in rows:
        if not row.usable:
            raise BaselineError(
                f"{row.name} of {row.task} under {row.condition} is {row.value} in {row.file}; "
                "only a finite number can be a baseline. Evaluate again, or name the metrics to "
                "keep with --metric"
            )
        _put(runs, (row.model, row.condition), done(row), row)
        _put(tasks, (row.model, row.task), row.settings, row)
        values.append(_value(row, old.get(row.key), tolerance))
    return Baseline(runs, tasks, tuple(values), previous.gates if previous else (), wanted)


def _put(
    table: dict[tuple[str, str], dict[str, str]],
    key: tuple[str, str],
    settings: Mapping[str, str],
    row: Row,
) -> None:
    before = table.setdefault(key, dict(settings))
    if different := differing(before, settings, VERSIONS):
        raise BaselineError(
            f"{key[1]} of {key[0]} was measured with {', '.join(different)} ({row.file}); one "
            "baseline holds one of them: give the results of one kind, or run the others again"
        )
    # What counts only where both have it is kept once one has.
    before |= {name: text for name, text in settings.items() if before[name] == "none"}


def _value(row: Row, before: Value | None, tolerance: Tolerance) -> Value:
    kept = before.tolerance if before else tolerance
    if kept.kind == "stderr" and row.stderr is None:
        kept = DEFAULT_TOLERANCE
    worse = "both"
    if row.condition == NO_CONDITION and row.higher_is_better is not None:
        worse = "lower" if row.higher_is_better else "higher"
    return Value(
        row.model, row.task, row.language, row.condition, row.metric, row.filter, row.value,
        row.stderr if kept.kind == "stderr" else None, kept, before.worse if before else worse,
    )  # fmt: skip
