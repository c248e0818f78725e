"""The baseline file: JSON with one entry a line, sorted, so that a number that changed is a line
that changed.

Settings that all tasks of a model share stand once, under `models`; a line under `tasks` has those
of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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
_BLOCKS = {
    "runs": (("model", "condition"), DONE),
    "models": (("model",), ("settings",)),
    "tasks": (("model", "task"), ("settings",)),
    "values": (
        ("model", "condition", "task", "metric"),
        ("language", "value", "tolerance", "worse"),
    ),
}
"""The fields of an entry: what it is about, and what it says of that."""
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
    if document.text("format", "") != FORMAT:
        raise BaselineError(f"{where}: format {FORMAT!r} was expected")
    version = document.whole("format_version")
    if version not in (1, VERSION):
        raise BaselineError(
            f"{where}: format version {version} was given and 1 and {VERSION} are read; update "
            "lsn_eval"
        )
    if version == 1:
        document = Fields(_of_version_1(document), where, BaselineError)
    baseline = _read(document, path, _lines(text))
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
    with whole_file(path, BaselineError) as file:
        file.write(baseline_text(baseline).encode())


def baseline_text(baseline: Baseline) -> str:
    """The file's content: one entry a line, sorted; gates as they were."""
    common = {model: _common(baseline, model) for model in sorted({x for x, _ in baseline.tasks})}
    head = {"format": FORMAT, "format_version": VERSION, "metrics": baseline.metrics}
    blocks: dict[str, list[dict[str, Any]]] = {
        "gates": [gate.to_json() for gate in baseline.gates],
        "runs": [
            {"model": model, "condition": condition, **parts}
            for (model, condition), parts in sorted(baseline.runs.items())
        ],
        "models": [{"model": name, "settings": settings} for name, settings in common.items()],
        "tasks": [
            {
                "model": model,
                "task": task,
                "settings": {k: v for k, v in settings.items() if common[model].get(k) != v},
            }
            for (model, task), settings in sorted(baseline.tasks.items())
        ],
        "values": [value.to_json() for value in sorted(baseline.values, key=lambda x: x.key)],
    }
    parts = [f' "{name}": {_line(value)}' for name, value in head.items()]
    for name, entries in blocks.items():
        lines = ",\n".join(f"  {_line(entry)}" for entry in entries)
        parts.append(f' "{name}": [\n{lines}\n ]' if entries else f' "{name}": []')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _common(baseline: Baseline, model: str) -> dict[str, str]:
    """Settings of all tasks of a model, in the order of one of them."""
    of_tasks = [settings for (name, _), settings in baseline.tasks.items() if name == model]
    return {
        name: value
        for name, value in of_tasks[0].items()
        if name not in OF_A_LANGUAGE and all(other.get(name) == value for other in of_tasks)
    }


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _entries(document: Fields, block: str) -> list[Fields]:
    """Each with its JSON as its place, so that every message names it."""
    kind = block.removesuffix("s")
    return [
        Fields(
            entry, f"{document.where}: {kind} {shortened(_line_of(entry), 120)}", BaselineError
        )
        for entry in document.list(block, [])
    ]  # fmt: skip


def _read(document: Fields, path: Path, numbers: Mapping[str, int]) -> Baseline:
    document.only({"format", "format_version", *_BLOCKS}, {"metrics", "gates"})
    lines: dict[tuple[str, ...], int] = {}
    keyed: dict[str, list[tuple[Any, Fields]]] = {}
    for block, (names, others) in _BLOCKS.items():
        keyed[block] = []
        for entry in _entries(document, block):
            entry.only({*names, *others}, {"stderr"} if block == "values" else ())
            keyed[block].append((tuple(entry.text(name) for name in names), entry))
    gates = _entries(document, "gates")
    keyed["gates"] = [((str(number),), entry) for number, entry in enumerate(gates)]
    for block, entries in keyed.items():
        for key, entry in entries:
            if (line := numbers.get(_line_of(entry.value))) is not None:
                lines[block.removesuffix("s"), *key] = line
    runs = {key: {part: entry.text(part) for part in DONE} for key, entry in keyed["runs"]}
    models = {model: _settings(entry) for (model,), entry in keyed["models"]}
    tasks = {key: {**models.get(key[0], {}), **_settings(entry)} for key, entry in keyed["tasks"]}
    values: dict[tuple[str, ...], Value] = {}
    for key, entry in keyed["values"]:
        if key in values:
            raise BaselineError(f"{document.where}: {' '.join(key)} is there twice; remove one")
        model, condition, task, _ = key
        if (model, condition) not in runs or (model, task) not in tasks:
            raise BaselineError(
                f"{document.where}: {' '.join(key)} has a value and no line in runs or tasks"
            )
        values[key] = _value(entry)
    if not values and not gates:
        raise BaselineError(
            f"{document.where}: it holds neither a value nor a gate; make it with --update"
        )
    metrics = document.texts("metrics", None)
    return Baseline(
        runs, tasks, tuple(values.values()), tuple(map(_gate, gates)),
        None if metrics is None else tuple(metrics), path, lines,
    )  # fmt: skip


def _value(entry: Fields) -> Value:
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
    return value


def _gate(entry: Fields) -> Gate:
    kind = _one_of(entry, "gate", BOUNDS)
    entry.only({"gate", "metric", "task", "languages", "condition", BOUNDS[kind]}, {"model"})
    languages = entry.texts("languages")
    least = 2 if kind == "selectivity" else 1
    if len(set(languages)) != len(languages) or len(languages) < least:
        raise BaselineError(
            f"{entry.where}: languages {languages}; a list of {least} or more different "
            "languages was expected"
        )
    # One condition can steer from every language.
    for name in ("task",) if kind == "success" else ("task", "condition"):
        if "{language}" not in entry.text(name):
            raise BaselineError(f"{entry.where}: {name} lacks {{language}}")
    return Gate(
        kind, entry.text("metric"), entry.text("task"), tuple(languages),
        entry.text("condition"), entry.number(BOUNDS[kind]), entry.text("model", None),
    )  # fmt: skip


def _settings(entry: Fields) -> dict[str, str]:
    settings = entry.fields("settings")
    return {name: settings.text(name) for name in settings}


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
