"""`Row`: one number of a results file, with what it was measured with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.results.languages import family_of, language_of
from lsn_eval.results.settings import (
    about,
    backend_of,
    dtype_of,
    mapping,
    model_arguments,
    run_settings,
)
from lsn_eval.results.signatures import UNTOUCHED, measured_with, signature_line
from lsn_eval.storage.outside_files import Fields
from lsn_eval.wording.lists import listed

NO_CONDITION = "none"


class ResultsError(LsnError):
    """A results file that cannot be read, or is none."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number and what it is of."""

    model: str
    task: str
    language: str | None
    condition: str
    """Of the `lsn` record; `none` for a run without one."""
    metric: str
    filter: str
    value: float
    """NaN where the file holds none."""
    stderr: float | None
    """None where lm-eval wrote "N/A"."""

    @property
    def name(self) -> str:
        """The metric, with its filter where it is not the default one, as lm-eval writes it."""
        return self.metric if self.filter == "none" else f"{self.metric},{self.filter}"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Model, condition, task and name."""
        return self.model, self.condition, self.task, self.name

    @property
    def family(self) -> str:
        """The task's name with `*` for the language."""
        return family_of(self.task, self.language)

    @property
    def usable(self) -> bool:
        """Whether the value is a finite number."""
        return math.isfinite(self.value)


@dataclass(frozen=True, slots=True)
class Row(Number):
    """One number of a results file."""

    file: Path
    higher_is_better: bool | None
    version: str
    """Of the task."""
    signature: str
    date: float
    """Seconds since 1970."""
    dtype: str
    mask: str
    """Start of the digest as in the signature; `none` where no neuron is touched."""
    method: str
    hookpoint: str
    shots: int | None
    documents: int | None
    """Documents evaluated; fewer than the task has, under `--limit`."""
    unchanged: tuple[str, ...] = ()
    """Sites (hookpoint/layer) where every value written equalled what was there."""
    warnings: tuple[str, ...] = ()
    """What a reader should know before trusting the number."""
    older: int = 0
    """Files of the same model, condition and task that are older and were left out."""
    group: bool = False
    """Whether the task is a group of others, whose numbers are in the file too."""
    neurons: int = 0
    """Neurons written."""
    nothing_changed: bool = False
    """Whether the hooks wrote, and every value was there already."""
    languages: tuple[str, ...] = ()
    """Of the mask, in its order."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What must be equal for two numbers to be compared, see `lsn_eval.results.settings`."""


def rows_of(path: Path, document: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of a document of lm-eval's that has results, configs and a config.

    Raises:
        ResultsError: what they were measured with cannot be read from it.
    """
    config = document["config"]
    if config.get("lsn") is None:
        measured, seen = _without_record(path, document), {}
        made_by = f"lm_eval:{document.get('lm_eval_version') or 'unknown'}"
    else:
        record = Fields(config["lsn"], f"{path} is damaged: config.lsn", ResultsError)
        measured, seen = measured_with(record), _seen(record)
        made_by = f"v{record.text('version')}"
    date = Fields(document, str(path), ResultsError).number("date", 0.0)
    run = {**measured, **seen}
    if "tuning" not in mapping(config.get("lsn")):
        run["model"] = _with_adapters(measured["model"], config)
    for setting in ("loaded", "backend"):  # and no other model
        run.pop(setting, None)
    for task, metrics in document["results"].items():
        if not isinstance(metrics, dict):
            raise ResultsError(f"{path}: the results of {task} are no object")
        version, directions, samples, shots, members = (
            about(document, key, task)
            for key in ("versions", "higher_is_better", "n-samples", "n-shot", "group_subtasks")
        )
        task_config = about(document, "configs", task)
        of_task = {
            **run,
            "file": path,
            "date": date,
            "task": task,
            "language": language_of(task, mapping(task_config)),
            "version": str(version),
            "signature": signature_line(measured, made_by, f"{task}:{version}"),
            "shots": _count(shots),
            "documents": _count(mapping(samples).get("effective")),
            "group": bool(members),
            "settings": run_settings(document, task),
        }
        for key, value in _in_order(metrics, mapping(task_config)):
            metric, comma, filter_name = key.partition(",")
            number = _number(value)
            if not comma or metric.endswith("_stderr") or number is None:
                continue
            stderr = _number(metrics.get(f"{metric}_stderr,{filter_name}"))
            direction = mapping(directions).get(metric)
            yield Row(
                metric=metric,
                filter=filter_name,
                value=number,
                stderr=stderr if stderr is not None and math.isfinite(stderr) else None,
                higher_is_better=direction if isinstance(direction, bool) else None,
                **of_task,
            )


def _in_order(metrics: Mapping[str, Any], config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The task's own order, its first metric first."""
    listed = config.get("metric_list")
    names = [mapping(entry).get("metric") for entry in listed] if isinstance(listed, list) else []
    order = {name: place for place, name in enumerate(names) if isinstance(name, str)}
    return sorted(
        metrics.items(), key=lambda item: order.get(item[0].partition(",")[0], len(order))
    )


def _without_record(path: Path, document: Mapping[str, Any]) -> dict[str, str]:
    """What a run that was not ours was measured with."""
    config = document["config"]
    arguments = model_arguments(config)
    names = (
        arguments.get("pretrained"), arguments.get("model"), document.get("model_name"),
        config.get("model"),
    )  # fmt: skip
    name = next(filter(None, names), None)
    if not isinstance(name, str):
        raise ResultsError(f"{path} is damaged: its model is {name!r}, no text")
    return {
        "model": _with_adapters(name, config),
        "dtype": dtype_of(config),
        "backend": str(backend_of(config) or ""),
        **UNTOUCHED,
    }


def _seen(record: Fields) -> dict[str, Any]:
    """What the hooks wrote and saw."""
    seen = record.fields("seen", {})
    hookpoints = seen.each("hookpoints")
    written, changed = (
        sum(counts.whole(name, 0) for counts in hookpoints)
        for name in ("values_overwritten", "values_changed")
    )
    unchanged = seen.texts("unchanged", [])
    unrouted = seen.texts("unrouted", [])
    warnings = [
        text
        for sites, text in (
            (unchanged, f"every value written to {', '.join(unchanged)} was there already"),
            (unrouted, f"no token came to {listed(unrouted, 3)}: nothing was written there"),
        )
        if sites
    ]
    layers = record.each("neurons_per_layer")
    return {
        "neurons": sum(counts.whole(layer) for counts in layers for layer in counts),
        "nothing_changed": bool(written or unrouted) and not changed,
        "languages": tuple(record.fields("mask", {}).texts("languages", [])),
        "unchanged": tuple(unchanged),
        "warnings": (*warnings, *seen.texts("doubts", [])),
    }


def _with_adapters(name: str, config: Mapping[str, Any]) -> str:
    """A model with an adapter is another model than without, and than with another adapter."""
    arguments = model_arguments(config)
    adapters = [str(arguments[kind]) for kind in ("peft", "delta") if arguments.get(kind)]
    added = "".join(f"+{adapter}" for adapter in adapters)
    return name if name.endswith(added) else f"{name}{added}"


def _number(value: Any) -> float | None:
    """A number; NaN for what stands for none; None for what is no metric."""
    if isinstance(value, int | float):
        return float(value)
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "n/a", "nan")):
        return math.nan
    return None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
