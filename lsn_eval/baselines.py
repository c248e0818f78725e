"""The baseline file: what the numbers were when they were last accepted.

JSON with one entry a line, sorted, so that a change of a number is a change of one line:

- `runs`: model, condition, and the parts of the signature that do not depend on the task;
- `tasks`: version, shots and documents of each task;
- `values`: one number, its tolerance, and the direction in which it is worse;
- `gates`: conditions between numbers, written by hand and kept by every update.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsn_eval.artefacts import check_format, whole_file
from lsn_eval.errors import LsnError
from lsn_eval.results import NO_CONDITION, Row

FORMAT = "lsn_eval baseline"
VERSION = 1
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
            _BOUNDS[self.kind]: self.bound,
        }
        return entry if self.model is None else {**entry, "model": self.model}


_BOUNDS = {"selectivity": "at_least", "control": "below"}


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
        return self.lines.get(_canonical(entry))

    @staticmethod
    def read(path: Path) -> Baseline:
        """Read and check a baseline file.

        Raises:
            BaselineError: it is not there, or contradicts the format; the message names the entry.
        """
        if not path.is_file():
            raise BaselineError(
                f"the baseline {path} does not exist; make it from results that are right: "
                f"lsn-eval check RESULTS --baseline {path} --update"
            )
        try:
            text = path.read_text("utf-8")
            document = json.loads(text)
        except (OSError, ValueError, RecursionError) as error:
            raise BaselineError(f"the baseline {path} cannot be read as JSON: {error}") from error
        try:
            return _from_json(document, path, text)
        except BaselineError as error:
            raise BaselineError(f"the baseline {path}: {error}") from error

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        content = self.to_text().encode()
        with whole_file(path, BaselineError) as file:
            file.write(content)

    def to_text(self) -> str:
        """The file's content: one entry a line, sorted; gates as they were."""
        runs = [
            {"model": model, "condition": condition, **parts}
            for (model, condition), parts in sorted(self.runs.items())
        ]
        tasks = [
            {"model": model, "task": task, **parts}
            for (model, task), parts in sorted(self.tasks.items())
        ]
        values = [value.to_json() for value in sorted(self.values, key=lambda value: value.key)]
        metrics = None if self.metrics is None else list(self.metrics)
        blocks = [
            f' "format": {_line(FORMAT)}',
            f' "format_version": {VERSION}',
            f' "metrics": {_line(metrics)}',
            _block("gates", [gate.to_json() for gate in self.gates]),
            _block("runs", runs),
            _block("tasks", tasks),
            _block("values", values),
        ]
        return "{\n" + ",\n".join(blocks) + "\n}\n"


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


# The file ------------------------------------------------------------------------------------


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _block(name: str, entries: Sequence[Mapping[str, Any]]) -> str:
    if not entries:
        return f' "{name}": []'
    lines = ",\n".join(f"  {_line(entry)}" for entry in entries)
    return f' "{name}": [\n{lines}\n ]'


def _from_json(document: Any, path: Path, text: str) -> Baseline:
    if not isinstance(document, dict) or not {"format", "format_version"} <= set(document):
        raise BaselineError(f"a JSON object with format {FORMAT!r} was expected")
    check_format(document, FORMAT, VERSION, BaselineError)
    expected = {"format", "format_version", "metrics", "gates", "runs", "tasks", "values"}
    _keys(document, expected - {"metrics", "gates"}, {"metrics", "gates"}, "the file")
    metrics = document.get("metrics")
    if metrics is not None and not _strings(metrics):
        raise BaselineError(f"metrics {metrics!r}: a list of names or null was expected")
    for name in ("gates", "runs", "tasks", "values"):
        if not isinstance(document.get(name, []), list):
            raise BaselineError(f"{name}: a list was expected")
    runs = {}
    for entry in document["runs"]:
        _keys(entry, {"model", "condition", *RUN_PARTS}, set(), f"run {_short(entry)}")
        runs[entry["model"], entry["condition"]] = {part: entry[part] for part in RUN_PARTS}
    tasks = {}
    for entry in document["tasks"]:
        _keys(entry, {"model", "task", *DATA_PARTS}, set(), f"task {_short(entry)}")
        tasks[entry["model"], entry["task"]] = {part: entry[part] for part in DATA_PARTS}
    values = tuple(map(_read_value, document["values"]))
    seen: set[tuple[str, str, str, str]] = set()
    for value in values:
        if value.key in seen:
            raise BaselineError(f"{' '.join(value.key)} is there twice; remove one")
        seen.add(value.key)
        for table, key in (
            (runs, (value.model, value.condition)),
            (tasks, (value.model, value.task)),
        ):
            if key not in table:
                raise BaselineError(f"{' '.join(key)} has a value and no line in runs or tasks")
    gates = tuple(map(_read_gate, document.get("gates", [])))
    if not values and not gates:
        raise BaselineError("it holds neither a value nor a gate; make it with --update")
    lines = {}
    for number, line in enumerate(text.splitlines(), 1):
        content = line.strip().rstrip(",")
        if content.startswith("{") and content.endswith("}"):
            try:
                lines[_canonical(json.loads(content))] = number
            except ValueError:
                continue  # an entry that somebody spread over lines: it has no line of its own
    return Baseline(
        runs, tasks, values, gates, None if metrics is None else tuple(metrics), path, lines
    )


def _read_value(entry: Any) -> Value:
    what = f"value {_short(entry)}"
    needed = {"model", "condition", "task", "language", "metric", "value", "tolerance", "worse"}
    _keys(entry, needed, {"stderr"}, what)
    value = _finite(entry["value"], f"{what}: value")
    tolerance = entry["tolerance"]
    if not (isinstance(tolerance, dict) and len(tolerance) == 1 and set(tolerance) <= set(KINDS)):
        raise BaselineError(
            f"{what}: tolerance {tolerance!r}; one of {', '.join(KINDS)} with a number was "
            'expected, such as {"relative": 0.01}'
        )
    ((kind, amount),) = tolerance.items()
    if _finite(amount, f"{what}: tolerance") < 0:
        raise BaselineError(f"{what}: tolerance {amount} is negative")
    if entry["worse"] not in DIRECTIONS:
        raise BaselineError(
            f"{what}: worse {entry['worse']!r}; one of {', '.join(DIRECTIONS)} was expected"
        )
    stderr = entry.get("stderr")
    if kind == "stderr":
        if stderr is None:
            raise BaselineError(
                f"{what}: a tolerance in standard errors needs the value's own: add stderr, or "
                "make the tolerance relative or absolute"
            )
        stderr = _finite(stderr, f"{what}: stderr")
    language = entry["language"]
    if not _strings([entry[name] for name in ("model", "condition", "task", "metric")]) or not (
        language is None or isinstance(language, str)
    ):
        raise BaselineError(f"{what}: names were expected for model, condition, task and metric")
    return Value(
        entry["model"], entry["condition"], entry["task"], language, entry["metric"], value,
        Tolerance(kind, float(amount)), entry["worse"], stderr,
    )  # fmt: skip


def _read_gate(entry: Any) -> Gate:
    what = f"gate {_short(entry)}"
    kind = entry.get("gate") if isinstance(entry, dict) else None
    if kind not in _BOUNDS:
        raise BaselineError(f"{what}: gate {kind!r}; one of {', '.join(_BOUNDS)} was expected")
    needed = {"gate", "metric", "task", "languages", "condition", _BOUNDS[kind]}
    _keys(entry, needed, {"model"}, what)
    languages = entry["languages"]
    least = 2 if kind == "selectivity" else 1
    if not _strings(languages) or len(set(languages)) != len(languages) or len(languages) < least:
        raise BaselineError(
            f"{what}: languages {languages!r}; a list of {least} or more different languages was "
            "expected"
        )
    names = [entry[name] for name in ("metric", "task", "condition")]
    if not _strings([*names, entry.get("model", "")]):
        raise BaselineError(f"{what}: names were expected for metric, task, condition and model")
    for name in ("task", "condition"):
        if "{language}" not in entry[name]:
            raise BaselineError(f"{what}: {name} {entry[name]!r} lacks {{language}}")
    bound = _finite(entry[_BOUNDS[kind]], f"{what}: {_BOUNDS[kind]}")
    return Gate(
        kind, entry["metric"], entry["task"], tuple(languages), entry["condition"], bound,
        entry.get("model"),
    )  # fmt: skip


def _keys(entry: Any, needed: set[str], optional: set[str], what: str) -> None:
    if not isinstance(entry, dict):
        raise BaselineError(f"{what}: a JSON object was expected")
    missing, unknown = needed - set(entry), set(entry) - needed - optional
    if missing or unknown:
        parts = [f"lacks {', '.join(sorted(missing))}"] if missing else []
        parts += [f"has the unknown {', '.join(sorted(unknown))}"] if unknown else []
        raise BaselineError(f"{what} {' and '.join(parts)}")


def _finite(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BaselineError(f"{what} {value!r}: a finite number was expected")
    return float(value)


def _strings(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _short(entry: Any) -> str:
    text = json.dumps(entry, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."
