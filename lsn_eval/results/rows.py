"""Results files of any lm-eval run, as tidy rows: one number a row, with what it was measured with.

Read are lm-eval's own `results_*.json`, written under `lsn_hf` or any other model. Needs neither
torch nor lm_eval, so that a regression check starts quickly.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.results.languages import family_of, language_of
from lsn_eval.results.settings import model_arguments, run_settings
from lsn_eval.results.signatures import signature

NO_CONDITION = "none"


class ResultsError(LsnError):
    """A results file that cannot be read, or is none."""


@dataclass(frozen=True)
class Row:
    """One number of a results file."""

    file: Path
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

    @property
    def name(self) -> str:
        """The metric, with its filter where it is not the default one, as lm-eval writes it."""
        return self.metric if self.filter == "none" else f"{self.metric},{self.filter}"

    @property
    def family(self) -> str:
        """The task's name with `*` for the language."""
        return family_of(self.task, self.language)

    @property
    def usable(self) -> bool:
        """Whether the value is a finite number."""
        return math.isfinite(self.value)


def read_results(
    paths: Sequence[Path], *, newest: bool = True, apart: Sequence[str] = ()
) -> list[Row]:
    """Rows of results files, and of those in folders at any depth, in the order of the paths.

    Args:
        paths: results files and folders.
        newest: of files with the same model, condition and task, keep the one with the latest
            `date`; the others are counted in `older`. False keeps all.
        apart: further fields of a row, such as `mask`, that tell files apart.

    Raises:
        ResultsError: a path is not there, or a file is no results file of lm-eval.
    """
    rows = [row for path in _files(paths) for row in read_file(path)]
    return _newest(rows, apart) if newest else rows


def read_file(path: Path) -> list[Row]:
    """Rows of one results file.

    Raises:
        ResultsError: it is no results file of lm-eval.
    """
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ResultsError(f"{path} cannot be read as JSON ({error}); {_EXPECTED}") from error
    if not isinstance(document, dict):
        raise ResultsError(f"{path} holds no JSON object; {_EXPECTED}")
    for key in ("results", "configs", "config"):
        if not isinstance(document.get(key), dict):
            raise ResultsError(f"{path} has no {key!r}; {_EXPECTED}")
    try:
        return list(_rows(path, document))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ResultsError(
            f"{path} is damaged: {type(error).__name__} {error}; {_EXPECTED}"
        ) from error


_EXPECTED = (
    "expected was a results_*.json that lm-eval wrote with --output_path (not the samples beside "
    "it)"
)


def _files(paths: Iterable[Path]) -> list[Path]:
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(path.rglob("results_*.json"))
            if not inside:
                raise ResultsError(f"the folder {path} holds no results_*.json at any depth")
            for file in inside:
                found.setdefault(file.resolve(), file)
        elif path.is_file():
            found.setdefault(path.resolve(), path)
        else:
            raise ResultsError(f"{path} does not exist; give results files of lm-eval or folders")
    return list(found.values())


def _newest(rows: list[Row], apart: Sequence[str]) -> list[Row]:
    """Of the files with one (model, condition, task) the latest, with a count of the others."""
    key_of = attrgetter("model", "condition", "task", *apart)
    dates: dict[tuple[str, ...], dict[Path, tuple[float, str]]] = {}
    for row in rows:
        key = key_of(row)
        dates.setdefault(key, {})[row.file] = (row.date, row.signature)
    chosen = {}
    for key, files in dates.items():
        latest = max(files, key=lambda file: (files[file][0], file.name))
        others = sorted({line for _, line in files.values()} - {files[latest][1]})
        chosen[key] = (latest, len(files) - 1, others)
    kept = []
    for row in rows:
        latest, older, lines = chosen[key_of(row)]
        if row.file == latest:
            extra = tuple(f"an older file was measured with {line}" for line in lines)
            kept.append(replace(row, older=older, warnings=row.warnings + extra))
    return kept


def _rows(path: Path, document: Mapping[str, Any]) -> Iterator[Row]:
    config = document["config"]
    record = config.get("lsn")
    identity = _identity(document)
    if odd := [name for name, value in identity.items() if not isinstance(value, str)]:
        raise TypeError(f"its {odd[0]} is {identity[odd[0]]!r}, no text")
    counts = ((record or {}).get("neurons_per_layer") or {}).values()
    warnings, unchanged = [], tuple((record or {}).get("seen", {}).get("unchanged") or ())
    if unchanged:
        warnings.append(f"every value written to {', '.join(unchanged)} was there already")
    for task, metrics in document["results"].items():
        version = str((document.get("versions") or {}).get(task))
        directions = (document.get("higher_is_better") or {}).get(task) or {}
        task_config = document["configs"].get(task) or {}
        for key, value in _in_order(metrics, task_config):
            metric, comma, filter_name = key.partition(",")
            number = _number(value)
            if not comma or metric.endswith("_stderr") or number is None:
                continue
            stderr = _number(metrics.get(f"{metric}_stderr,{filter_name}"))
            direction = directions.get(metric)
            yield Row(
                file=path,
                task=task,
                language=language_of(task, task_config),
                metric=metric,
                filter=filter_name,
                value=number,
                stderr=stderr if stderr is not None and math.isfinite(stderr) else None,
                higher_is_better=direction if isinstance(direction, bool) else None,
                version=version,
                signature=_signature(document, identity, f"{task}:{version}"),
                date=float(document.get("date") or 0),
                shots=_count((document.get("n-shot") or {}).get(task)),
                documents=_count(
                    ((document.get("n-samples") or {}).get(task) or {}).get("effective")
                ),
                unchanged=unchanged,
                warnings=tuple(warnings),
                group=bool((document.get("group_subtasks") or {}).get(task)),
                nothing_changed=_nothing_changed(record or {}),
                neurons=sum(sum(layers.values()) for layers in counts),
                languages=tuple(((record or {}).get("mask") or {}).get("languages") or ()),
                settings=run_settings(document, task),
                model=identity["model"],
                condition=identity["condition"],
                dtype=identity["dtype"],
                mask=identity["mask"],
                method=identity["method"],
                hookpoint=identity["hookpoint"],
            )


def _in_order(metrics: Mapping[str, Any], config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The task's own order, its first metric first."""
    listed = [entry.get("metric") for entry in config.get("metric_list") or ()]
    order = {name: place for place, name in enumerate(listed)}
    return sorted(
        metrics.items(), key=lambda item: order.get(item[0].partition(",")[0], len(order))
    )


def _identity(document: Mapping[str, Any]) -> dict[str, str]:
    """Model, condition and what else the signature names of a run."""
    config = document["config"]
    record = config.get("lsn")
    none = {"mask": "none", "method": "none", "hookpoint": "none"}
    if record is None:
        dtype = str(config.get("model_dtype") or "unknown").removeprefix("torch.")
        name = _pretrained(config) or document.get("model_name") or config.get("model")
        model = _with_adapters(name, config)
        return {"model": model, "condition": NO_CONDITION, "dtype": dtype, **none}
    parts = dict(part.partition(":")[::2] for part in signature(record).split("|"))
    name = record["model"]["name"]
    return {
        "model": _with_adapters(name, config) if isinstance(name, str) else name,
        "condition": record["condition"],
        "dtype": record["model"]["dtype"],
        **{key: parts[key] for key in none},
    }


def _nothing_changed(record: Mapping[str, Any]) -> bool:
    seen = ((record.get("seen") or {}).get("hookpoints") or {}).values()
    written = sum(counts.get("values_overwritten") or 0 for counts in seen)
    return bool(written) and not sum(counts.get("values_changed") or 0 for counts in seen)


def _pretrained(config: Mapping[str, Any]) -> str | None:
    arguments = model_arguments(config)
    return arguments.get("pretrained") or arguments.get("model")


def _with_adapters(name: Any, config: Mapping[str, Any]) -> str:
    """A model with an adapter is another model than without, and than with another adapter."""
    arguments = model_arguments(config)
    adapters = [str(arguments[kind]) for kind in ("peft", "delta") if arguments.get(kind)]
    added = "".join(f"+{adapter}" for adapter in adapters)
    return str(name) if str(name).endswith(added) else f"{name}{added}"


def _signature(document: Mapping[str, Any], identity: Mapping[str, str], data: str) -> str:
    record = document["config"].get("lsn")
    if record is not None:
        return signature(record, data=data)
    names = ("model", "dtype", "mask", "method", "condition", "hookpoint")
    parts = [*(f"{name}:{identity[name]}" for name in names), f"data:{data}"]
    return "|".join([*parts, f"lm_eval:{document.get('lm_eval_version') or 'unknown'}"])


def _number(value: Any) -> float | None:
    """A number; NaN for what stands for none; None for what is no metric."""
    if isinstance(value, int | float):
        return float(value)
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "n/a", "nan")):
        return math.nan
    return None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None
