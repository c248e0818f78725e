"""The baseline file: JSON with one entry a line, sorted, so that a number that changed is a line
that changed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsn_eval.checking.baselines import (
    BOUNDS,
    DATA_PARTS,
    DIRECTIONS,
    KINDS,
    RUN_PARTS,
    Baseline,
    BaselineError,
    Gate,
    Tolerance,
    Value,
    canonical,
)
from lsn_eval.storage.whole_files import check_format, whole_file

FORMAT = "lsn_eval baseline"
VERSION = 1


def read_baseline(path: Path) -> Baseline:
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


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write it, whole or not at all."""
    content = baseline_text(baseline).encode()
    with whole_file(path, BaselineError) as file:
        file.write(content)


def baseline_text(baseline: Baseline) -> str:
    """The file's content: one entry a line, sorted; gates as they were."""
    runs = [
        {"model": model, "condition": condition, **parts}
        for (model, condition), parts in sorted(baseline.runs.items())
    ]
    tasks = [
        {"model": model, "task": task, **parts}
        for (model, task), parts in sorted(baseline.tasks.items())
    ]
    values = [value.to_json() for value in sorted(baseline.values, key=lambda value: value.key)]
    metrics = None if baseline.metrics is None else list(baseline.metrics)
    blocks = [
        f' "format": {_line(FORMAT)}',
        f' "format_version": {VERSION}',
        f' "metrics": {_line(metrics)}',
        _block("gates", [gate.to_json() for gate in baseline.gates]),
        _block("runs", runs),
        _block("tasks", tasks),
        _block("values", values),
    ]
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


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
                lines[canonical(json.loads(content))] = number
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
    if kind not in BOUNDS:
        raise BaselineError(f"{what}: gate {kind!r}; one of {', '.join(BOUNDS)} was expected")
    needed = {"gate", "metric", "task", "languages", "condition", BOUNDS[kind]}
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
    bound = _finite(entry[BOUNDS[kind]], f"{what}: {BOUNDS[kind]}")
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
