"""Text of the YAML files in `tasks/`: what every family's `generate.py` writes with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

HEADER = "# Written by generate.py.\n"
VERSION = {"version": 1.0}


def task(
    name: str,
    include: str,
    settings: Mapping[str, Any] | None = None,
    *,
    tags: Sequence[str] = (),
    function: str | None = None,
) -> dict[str, str]:
    """A task's file by its name; `settings` go to its class, `function` names another class."""
    document: dict[str, Any] = {"include": include, "task": name}
    if tags:
        document["tag"] = list(tags)
    if settings:
        document["dataset_kwargs"] = dict(settings)
    text = HEADER + _dumped(document)
    if function is not None:
        text += f"class: !function {function}\n"
    return {f"{name}.yaml": text}


def group(
    name: str, members: Sequence[str], *, means: Sequence[str] = (), by_question: bool = False
) -> dict[str, str]:
    """A group's file by its name.

    `means` are metrics averaged over the members: each counts once or, with `by_question`, as many
    times as it has questions. Without any, the group is a list.
    """
    document: dict[str, Any] = {"group": name, "task": list(members)}
    if means:
        document["aggregate_metric_list"] = [
            {"metric": metric, "aggregation": "mean", "weight_by_size": by_question}
            for metric in means
        ]
    return {f"{name}.yaml": HEADER + _dumped({**document, "metadata": VERSION})}


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write every file of a family."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _dumped(document: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=1000))
