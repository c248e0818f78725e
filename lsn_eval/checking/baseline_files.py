"""The baseline file: JSON with one entry a line, sorted, so that a number that changed is a line
that changed.

Settings that all tasks of a model share stand once, under `models`; a line under `tasks` has those
of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsn_eval.checking.baselines import (
    BOUNDS,
    DIRECTIONS,
    DONE,
    KINDS,
    Baseline,
    BaselineError,
    Gate,
    Tolerance,
    Value,
)
from lsn_eval.results.settings import OF_A_LANGUAGE
from lsn_eval.storage.outside_files import Fields, parse_json, read_text
from lsn_eval.storage.whole_files import whole_file
from lsn_eval.visible_text import shortened

FORMAT = "lsn_eval baseline"
VERSION = 2
_OF_VERSION_1 = {
    "version": "task version", "shots": "few-shot examples", "documents": "documents",
}  # fmt: skip
"""The settings that a task had in version 1, by their names of then."""
_NOTES_ON_VERSION_1 = (
    "the baseline is of format version 1, which names few settings: others are not compared; "
    "--update writes them",
    "gates measure changes on the metric's scale (logs of perplexities), and selectivity against "
    "the mean of the other languages; bounds of format version 1 were relative, against the "
    "largest: look at them again",
)


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
    text = read_text(path, BaselineError)
    where = f"the baseline {path}"
    document = Fields(parse_json(text, where, BaselineError), where, BaselineError)
    if "format" not in document or document.text("format") != FORMAT:
        raise BaselineError(f"{where}: format {FORMAT!r} was expected")
    version = document.whole("format_version")
    if version not in (1, VERSION):
        raise BaselineError(
            f"{where}: format version {version} was given and 1 and {VERSION} are read; update "
            "lsn_eval"
        )
    if version == 1:
        document = Fields(_of_version_1(document), where, BaselineError)
    baseline = _Reader(document, _lines(text)).read(path)
    notes = _NOTES_ON_VERSION_1[: 2 if baseline.gates else 1]
    return replace(baseline, notes=notes) if version == 1 else baseline


def _of_version_1(document: Fields) -> dict[str, Any]:
    """The same as version 2 has it."""
    dtypes: dict[Any, Any] = {}
    runs, tasks = [], []
    for entry in _entries(document, "runs"):
        dtypes.setdefault(entry.text("model"), entry.text("dtype"))
        runs.append({name: entry.value[name] for name in entry if name != "dtype"})
    for entry in _entries(document, "tasks"):
        settings = {
            name: str(entry.value.get(old)).replace("None", "none")
            for old, name in _OF_VERSION_1.items()
        }
        task = {name: entry.value[name] for name in entry if name not in _OF_VERSION_1}
        tasks.append({**task, "settings": settings})
    models = [{"model": name, "settings": {"dtype": of}} for name, of in dtypes.items()]
    return {**document.value, "models": models, "runs": runs, "tasks": tasks}


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write it, whole or not at all."""
    content = baseline_text(baseline).encode()
    with whole_file(path, BaselineError) as file:
        file.write(content)


def baseline_text(baseline: Baseline) -> str:
    """The file's content: one entry a line, sorted; gates as they were."""
    models = sorted({model for model, _ in baseline.tasks})
    common = {model: _common(baseline, model) for model in models}
    metrics = None if baseline.metrics is None else list(baseline.metrics)
    blocks = [
        f' "format": {_line(FORMAT)}',
        f' "format_version": {VERSION}',
        f' "metrics": {_line(metrics)}',
        _block("gates", [gate.to_json() for gate in baseline.gates]),
        _block(
            "runs",
            [
                {"model": model, "condition": condition, **parts}
                for (model, condition), parts in sorted(baseline.runs.items())
            ],
        ),
        _block("models", [{"model": name, "settings": of} for name, of in common.items()]),
        _block(
            "tasks",
            [
                {"model": model, "task": task, "settings": _without(settings, common[model])}
                for (model, task), settings in sorted(baseline.tasks.items())
            ],
        ),
        _block(
            "values",
            [value.to_json() for value in sorted(baseline.values, key=lambda value: value.key)],
        ),
    ]
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def _common(baseline: Baseline, model: str) -> dict[str, str]:
    """Settings of all tasks of a model, in the order of one of them."""
    of_tasks = [settings for (name, _), settings in baseline.tasks.items() if name == model]
    return {
        name: value
        for name, value in of_tasks[0].items()
        if name not in OF_A_LANGUAGE and all(other.get(name) == value for other in of_tasks)
    }


def _without(settings: Mapping[str, str], common: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if common.get(name) != value}


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _block(name: str, entries: Sequence[Mapping[str, Any]]) -> str:
    if not entries:
        return f' "{name}": []'
    lines = ",\n".join(f"  {_line(entry)}" for entry in entries)
    return f' "{name}": [\n{lines}\n ]'


def _entries(document: Fields, block: str) -> list[Fields]:
    """Each with its JSON as its place, so that every message names it."""
    kind = block.removesuffix("s")
    return [
        Fields(
            entry, f"{document.where}: {kind} {shortened(_line_of(entry), 120)}", BaselineError
        )
        for entry in document.list(block, [])
    ]  # fmt: skip


class _Reader:
    """Reads one document; `lines` is filled on the way."""

    def __init__(self, document: Fields, numbers: Mapping[str, int]) -> None:
        self.document = document
        self.numbers = numbers
        self.lines: dict[tuple[str, ...], int] = {}

    def read(self, path: Path) -> Baseline:
        document, where = self.document, self.document.where
        document.only(
            {"format", "format_version", "runs", "models", "tasks", "values"}, {"metrics", "gates"}
        )
        metrics = document.texts("metrics", None)
        runs = dict(map(self._run, _entries(document, "runs")))
        models = dict(map(self._model, _entries(document, "models")))
        tasks = {
            key: {**models.get(key[0], {}), **settings}
            for key, settings in map(self._task, _entries(document, "tasks"))
        }
        values = list(map(self._value, _entries(document, "values")))
        gates = [self._gate(*numbered) for numbered in enumerate(_entries(document, "gates"))]
        if not values and not gates:
            raise BaselineError(
                f"{where}: it holds neither a value nor a gate; make it with --update"
            )
        seen = set()
        for value in values:
            if value.key in seen:
                raise BaselineError(f"{where}: {' '.join(value.key)} is there twice; remove one")
            seen.add(value.key)
            if (value.model, value.condition) not in runs or (value.model, value.task) not in tasks:
                raise BaselineError(
                    f"{where}: {' '.join(value.key)} has a value and no line in runs or tasks"
                )
        return Baseline(
            runs, tasks, tuple(values), tuple(gates), None if metrics is None else tuple(metrics),
            path, self.lines,
        )  # fmt: skip

    def _at(self, entry: Fields, *key: str) -> None:
        line = self.numbers.get(_line_of(entry.value))
        if line is not None:
            self.lines[key] = line

    def _run(self, entry: Fields) -> tuple[tuple[str, str], dict[str, str]]:
        entry.only({"model", "condition", *DONE})
        key = entry.text("model"), entry.text("condition")
        self._at(entry, "run", *key)
        return key, {part: entry.text(part) for part in DONE}

    def _model(self, entry: Fields) -> tuple[str, dict[str, str]]:
        entry.only({"model", "settings"})
        return entry.text("model"), _texts(entry.fields("settings"))

    def _task(self, entry: Fields) -> tuple[tuple[str, str], dict[str, str]]:
        entry.only({"model", "task", "settings"})
        key = entry.text("model"), entry.text("task")
        self._at(entry, "task", *key)
        return key, _texts(entry.fields("settings"))

    def _value(self, entry: Fields) -> Value:
        entry.only(
            {"model", "condition", "task", "language", "metric", "value", "tolerance", "worse"},
            {"stderr"},
        )
        tolerance = entry.fields("tolerance")
        if len(tolerance.value) != 1 or not set(tolerance) <= set(KINDS):
            raise BaselineError(
                f"{tolerance.where} is {_line_of(tolerance.value)}; one of {', '.join(KINDS)} with "
                'a number was expected, such as {"relative": 0.01}'
            )
        (kind,) = tolerance
        amount = tolerance.number(kind)
        if amount < 0:
            raise BaselineError(f"{tolerance.where} {amount} is negative")
        stderr = entry.number("stderr", None)
        if kind == "stderr" and stderr is None:
            raise BaselineError(
                f"{entry.where}: a tolerance in standard errors needs the value's own: add stderr, "
                "or make the tolerance relative or absolute"
            )
        metric, _, filter_name = entry.text("metric").partition(",")
        value = Value(
            entry.text("model"), entry.text("task"), entry.text("language", None),
            entry.text("condition"), metric, filter_name or "none", entry.number("value"), stderr,
            Tolerance(kind, amount), _one_of(entry, "worse", DIRECTIONS),
        )  # fmt: skip
        if value.name != entry.text("metric"):
            raise BaselineError(f"{entry.where}: metric {value.name!r} was expected")
        self._at(entry, "value", *value.key)
        return value

    def _gate(self, number: int, entry: Fields) -> Gate:
        kind = _one_of(entry, "gate", BOUNDS)
        entry.only({"gate", "metric", "task", "languages", "condition", BOUNDS[kind]}, {"model"})
        languages = entry.texts("languages")
        least = 2 if kind == "selectivity" else 1
        if len(set(languages)) != len(languages) or len(languages) < least:
            raise BaselineError(
                f"{entry.where}: languages {languages}; a list of {least} or more different "
                "languages was expected"
            )
        for name in ("task", "condition"):
            if "{language}" not in entry.text(name):
                raise BaselineError(f"{entry.where}: {name} lacks {{language}}")
        self._at(entry, "gate", str(number))
        return Gate(
            kind, entry.text("metric"), entry.text("task"), tuple(languages),
            entry.text("condition"), entry.number(BOUNDS[kind]), entry.text("model", None),
        )  # fmt: skip


def _texts(fields: Fields) -> dict[str, str]:
    return {name: fields.text(name) for name in fields}


def _one_of(entry: Fields, name: str, names: Iterable[str]) -> str:
    value: str = entry.text(name)
    if value not in names:
        raise BaselineError(
            f"{entry.where}: {name} {value!r}; one of {', '.join(names)} was expected"
        )
    return value


def _line_of(entry: Any) -> str:
    """An entry as text that does not depend on the order of its keys."""
    return json.dumps(entry, sort_keys=True, ensure_ascii=False)


def _lines(text: str) -> dict[str, int]:
    """The number of each line that is an entry, by the entry; one that somebody spread over lines
    has no line of its own."""
    numbers = {}
    for number, line in enumerate(text.split("\n"), 1):
        content = line.strip().rstrip(",")
        if content.startswith("{") and content.endswith("}"):
            try:
                numbers[_line_of(json.loads(content))] = number
            except (ValueError, RecursionError):
                continue
    return numbers
