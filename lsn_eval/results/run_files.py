"""`RunFile`: what a results file says about its run, besides its numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.results.rows import Row


class ReportError(LsnError):
    """A report that cannot be made of what was given, or written where it was asked for."""


_KEPT = (
    "config", "versions", "n-shot", "n-samples", "group_subtasks", "date", "lm_eval_version",
    "transformers_version", "system_instruction", "chat_template_sha", "fewshot_as_multiturn",
)  # fmt: skip
_KEPT_OF_TASKS = ("output_type", "generation_kwargs", "metadata", "dataset_kwargs")


@dataclass(frozen=True)
class RunFile:
    """One results file. Only what a report shows is kept, so that a thousand fit into memory."""

    path: Path
    rows: Sequence[Row]
    """Its numbers; never none."""
    document: Mapping[str, Any]
    tasks: Mapping[str, Mapping[str, Any]]
    """By name: a part of the task's configuration."""
    config: Mapping[str, Any] = field(init=False)
    record: Mapping[str, Any] = field(init=False)
    """The `lsn` record; empty for a run without one."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "config", mapping(self.document.get("config")))
        object.__setattr__(self, "record", mapping(self.config.get("lsn")))

    @property
    def condition(self) -> str:
        """As in its rows."""
        return self.rows[0].condition

    @property
    def model(self) -> str:
        """As in its rows."""
        return self.rows[0].model

    @property
    def mask(self) -> str:
        """As in its rows."""
        return self.rows[0].mask

    @property
    def seen(self) -> Mapping[str, Any]:
        """What the hooks saw."""
        return mapping(self.record.get("seen"))

    @property
    def date(self) -> float:
        """Seconds since 1970."""
        return self.rows[0].date

    def of_task(self, key: str, task: str) -> Any:
        """What the document says under `key` about a task."""
        return mapping(self.document.get(key)).get(task)


def read_run_files(rows: Sequence[Row]) -> list[RunFile]:
    """The files of these rows, in their order.

    Raises:
        ReportError: a file that could be read a moment ago no longer can.
    """
    by_file: dict[Path, list[Row]] = {}
    for row in rows:
        by_file.setdefault(row.file, []).append(row)
    return [_read(path, members) for path, members in by_file.items()]


def _read(path: Path, rows: list[Row]) -> RunFile:
    try:
        document = json.loads(path.read_bytes())
        tasks = {
            str(name): {key: config[key] for key in _KEPT_OF_TASKS if key in config}
            for name, config in document["configs"].items()
            if isinstance(config, dict)
        }
        return RunFile(path, rows, {key: document.get(key) for key in _KEPT}, tasks)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReportError(
            f"{path} cannot be read again ({type(error).__name__} {error}); has it changed since "
            "the report began? Make the report again"
        ) from error


def scalar(value: Any) -> str | int | float | None:
    """The value if it is one, else its JSON: what stands in a cell and can be a key."""
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}
