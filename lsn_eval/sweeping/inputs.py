"""What tells a sweep's tasks and their data from those of another day."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


Digests = Mapping[str, Mapping[str, str]]
"""SHA-256 in hexadecimal. `files` by path: those that define tasks, with their functions, or that
these name as their data. `documents` by task: of its definition as loaded, its documents and those
of few-shot prompts."""


def task_inputs(loaded: Mapping[str, Any], index: Mapping[str, Any], fewshot: int) -> Digests:
    """Of what lm-eval has loaded, its index of tasks, and the examples in every prompt."""
    files: set[Path] = set()
    for name in (*loaded["tasks"], *loaded["groups"]):
        if name in index and index[name].yaml_path is not None:
            files |= set(_with_includes(Path(index[name].yaml_path)))
    for task in loaded["tasks"].values():
        files |= set(_files_named(vars(task.config)))
    documents = {name: _digest(_contents(task, fewshot)) for name, task in loaded["tasks"].items()}
    return {**file_inputs(map(str, sorted(files))), "documents": documents}


def file_inputs(names: Iterable[str]) -> Digests:
    """Of files as they are now, without loading anything; those that are gone are left out."""
    return {"files": {name: _of_file(Path(name)) for name in names if Path(name).is_file()}}


def input_changes(now: Digests, earlier: Digests) -> list[str]:
    """What differs from `earlier`; a file in another place does not."""
    return [
        f"{place} changed" if of == "files" else f"definition or documents of {place} changed"
        for of, digests in now.items()
        for place, digest in digests.items()
        if earlier.get(of, {}).get(place, digest) != digest
    ]


def _of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _contents(task: Any, fewshot: int) -> Iterator[Any]:
    definition = task.dump_config()
    metadata = definition.pop("metadata", None)
    yield definition, metadata.get("version") if isinstance(metadata, Mapping) else metadata
    yield from task.eval_docs
    if fewshot or task.config.num_fewshot:
        yield from task.fewshot_docs() or ()


def _digest(contents: Iterable[Any]) -> str:
    sha = hashlib.sha256()
    for content in contents:
        text = json.dumps(content, sort_keys=True, default=str)
        sha.update(_ADDRESS.sub("", text).encode() + b"\n")
    return sha.hexdigest()


def _files_named(value: Any) -> Iterator[Path]:
    """Files among the texts of a task's configuration, and those that its functions stand in."""
    if isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _files_named(inner)
    elif isinstance(value, str):
        if len(value) < 4096 and "\n" not in value and Path(value).is_file():
            yield Path(value).resolve()
    elif inspect.isfunction(value) and Path(value.__code__.co_filename).is_file():
        yield Path(value.__code__.co_filename).resolve()


def _with_includes(path: Path) -> Iterator[Path]:
    from lm_eval.tasks._yaml_loader import load_yaml

    yield path.resolve()
    try:
        includes = load_yaml(path, resolve_func=False, recursive=False).get("include") or []
    except Exception:
        return
    for include in [includes] if isinstance(includes, str) else includes:
        yield from _with_includes(path.parent / include)
