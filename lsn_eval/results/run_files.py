"""The one reader of results files: `RunFile`, what a file says about its run, with its rows.

Read are lm-eval's own `results_*.json`, written under `lsn_hf` or any other model. Needs neither
torch nor lm_eval, so that a regression check starts quickly.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lsn_eval.results.model_records import with_record
from lsn_eval.results.rows import ResultsError, Row, rows_of
from lsn_eval.results.settings import mapping
from lsn_eval.storage.outside_files import read_json

_OF_DOCUMENT = (
    "config", "versions", "n-shot", "n-samples", "group_subtasks", "date", "lm_eval_version",
    "transformers_version", "system_instruction", "chat_template_sha", "fewshot_as_multiturn",
)  # fmt: skip
_OF_TASKS = ("output_type", "generation_kwargs", "metadata", "dataset_kwargs")
_EXPECTED = (
    "expected was a results_*.json that lm-eval wrote with --output_path (not the samples beside "
    "it)"
)


@dataclass(frozen=True)
class RunFile:
    """One results file. Only what is shown of it is kept, so that a thousand fit into memory."""

    path: Path
    rows: Sequence[Row]
    """Its numbers."""
    document: Mapping[str, Any]
    tasks: Mapping[str, Mapping[str, Any]]
    """By name: a part of the task's configuration."""
    config: Mapping[str, Any] = field(init=False)
    record: Mapping[str, Any] = field(init=False)
    """The `lsn` record; empty for a run without one."""
    seen: Mapping[str, Any] = field(init=False)
    """What the hooks saw."""
    condition: str = field(init=False)
    model: str = field(init=False)
    mask: str = field(init=False)
    date: float = field(init=False)
    """These four as in its rows; a file without any has none of them."""

    def __post_init__(self) -> None:
        config = mapping(self.document.get("config"))
        record = mapping(config.get("lsn"))
        vars(self).update(config=config, record=record, seen=mapping(record.get("seen")))
        for row in self.rows[:1]:
            vars(self).update(
                {of: getattr(row, of) for of in ("condition", "model", "mask", "date")}
            )


Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""One results file or folder, or several."""


def read_results(paths: Paths | Iterable[Row]) -> list[Row]:
    """Rows of results files, and of those in folders at any depth, in the order of the paths.

    Of files with the same model, condition, task, mask and dtype the one with the latest date
    counts; the others are counted in `Row.older`. Rows are returned as they are.

    Raises:
        ResultsError: a path is not there, or a file is no results file of lm-eval.
    """
    entries = _several(paths)
    if entries and all(isinstance(entry, Row) for entry in entries):
        return entries
    return newest([row for path in results_files(entries) for row in read_file(path).rows])


def read_runs(paths: Paths) -> list[RunFile]:
    """The same with what else the files say; a file without a row that counts is left out.

    Raises:
        ResultsError: a path is not there, or a file is no results file of lm-eval.
    """
    runs = [read_file(path) for path in results_files(paths)]
    return runs_of(runs, newest([row for run in runs for row in run.rows]))


def runs_of(runs: Sequence[RunFile], rows: Sequence[Row]) -> list[RunFile]:
    """The files that these rows are of, with these rows alone."""
    by_file: dict[Path, list[Row]] = {}
    for row in rows:
        by_file.setdefault(row.file, []).append(row)
    return [replace(run, rows=by_file[run.path]) for run in runs if run.path in by_file]


def read_file(path: Path) -> RunFile:
    """One results file.

    Raises:
        ResultsError: it is no results file of lm-eval.
    """
    document = read_json(path, ResultsError)
    if not isinstance(document, dict):
        raise ResultsError(f"{path} holds no JSON object; {_EXPECTED}")
    for key in ("results", "configs", "config"):
        if not isinstance(document.get(key), dict):
            raise ResultsError(f"{path} has no {key!r}; {_EXPECTED}")
    document["config"] = with_record(document["config"], document.get("date"), str(path))
    tasks = {
        name: {key: config[key] for key in _OF_TASKS if key in config}
        for name, config in document["configs"].items()
        if isinstance(config, dict)
    }
    shown = {key: document.get(key) for key in _OF_DOCUMENT}
    return RunFile(path, list(rows_of(path, document)), shown, tasks)


def paths_of(given: Paths) -> list[Path]:
    """A path, or several, one by one.

    Raises:
        ResultsError: something else.
    """
    entries = _several(given)
    if not all(isinstance(path, str | os.PathLike) for path in entries):
        raise ResultsError(
            "paths of results files and folders, or rows of read_results, were expected; "
            f"{', '.join(sorted({type(entry).__name__ for entry in entries}))} were given"
        )
    return list(map(Path, entries))


def _several(given: Any) -> list[Any]:
    alone = isinstance(given, str | os.PathLike) or not isinstance(given, Iterable)
    return [given] if alone else list(given)


def results_files(paths: Paths) -> list[Path]:
    """The files among the paths and in folders, each once.

    Raises:
        ResultsError: a path is not there, or holds none.
    """
    found: dict[Path, Path] = {}
    for path in paths_of(paths):
        if not (path.is_dir() or path.is_file()):
            raise ResultsError(f"{path} does not exist; give results files of lm-eval or folders")
        if path.is_file() and path.suffix != ".json":
            raise ResultsError(
                f"{path} is no results file of lm-eval: results_*.json or a folder was expected"
            )
        inside = sorted(path.rglob("results_*.json")) if path.is_dir() else [path]
        if not inside:
            raise ResultsError(f"the folder {path} holds no results_*.json at any depth")
        for file in inside:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def newest(rows: Sequence[Row]) -> list[Row]:
    """Of the files with one (model, condition, task, mask, dtype) the latest."""

    def key(row: Row) -> tuple[str, ...]:
        return row.model, row.condition, row.task, row.mask, row.dtype

    files: dict[tuple[str, ...], dict[Path, Row]] = {}
    for row in sorted(rows, key=lambda row: (row.date, row.file.name), reverse=True):
        files.setdefault(key(row), {})[row.file] = row
    counting = []
    for row in rows:
        latest, *older = files[key(row)].values()
        if row.file == latest.file:
            if older:
                there = {other.signature for other in older} - {row.signature}
                extra = tuple(f"an older file was measured with {line}" for line in sorted(there))
                row = replace(row, older=len(older), warnings=row.warnings + extra)
            counting.append(row)
    return counting


def scalar(value: Any) -> str | int | float | None:
    """The value if it is one, else its JSON: what stands in a cell and can be a key."""
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
