"""Results files of any lm-eval run, as tidy rows: one number a row, with what it was measured with.

Read are lm-eval's own `results_*.json`, written under `lsn_hf` or any other model. Needs neither
torch nor lm_eval, so that a regression check starts quickly.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lsn_eval.errors import LsnError
from lsn_eval.signatures import signature

NO_CONDITION = "none"

# ISO 639-1; the end of a task's name counts as a language only if it is one of these.
_CODES = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy "
    "da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu "
    "hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb "
    "lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om "
    "or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw "
    "ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
)
_SCRIPTED = re.compile(r"_([a-z]{3}_[A-Z][a-z]{3})$")


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

    @property
    def name(self) -> str:
        """The metric, with its filter where it is not the default one, as lm-eval writes it."""
        return self.metric if self.filter == "none" else f"{self.metric},{self.filter}"

    @property
    def usable(self) -> bool:
        """Whether the value is a finite number."""
        return math.isfinite(self.value)


def read_results(paths: Sequence[Path], *, newest: bool = True) -> list[Row]:
    """Rows of results files, and of those in folders at any depth, in the order of the paths.

    Args:
        paths: results files and folders.
        newest: of files with the same model, condition and task, keep the one with the latest
            `date`; the others are counted in `older`. False keeps all.

    Raises:
        ResultsError: a path is not there, or a file is no results file of lm-eval.
    """
    rows = [row for path in _files(paths) for row in read_file(path)]
    return _newest(rows) if newest else rows


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


def _newest(rows: list[Row]) -> list[Row]:
    """Of the files with one (model, condition, task) the latest, with a count of the others."""
    dates: dict[tuple[str, str, str], dict[Path, tuple[float, str]]] = {}
    for row in rows:
        key = (row.model, row.condition, row.task)
        dates.setdefault(key, {})[row.file] = (row.date, row.signature)
    chosen = {}
    for key, files in dates.items():
        latest = max(files, key=lambda file: (files[file][0], file.name))
        others = sorted({line for _, line in files.values()} - {files[latest][1]})
        chosen[key] = (latest, len(files) - 1, others)
    kept = []
    for row in rows:
        latest, older, lines = chosen[row.model, row.condition, row.task]
        if row.file == latest:
            extra = tuple(f"an older file was measured with {line}" for line in lines)
            kept.append(replace(row, older=older, warnings=row.warnings + extra))
    return kept


def _rows(path: Path, document: Mapping[str, Any]) -> Iterator[Row]:
    config = document["config"]
    record = config.get("lsn")
    identity = _identity(document)
    warnings, unchanged = [], tuple((record or {}).get("seen", {}).get("unchanged") or ())
    if unchanged:
        warnings.append(f"every value written to {', '.join(unchanged)} was there already")
    for task, metrics in document["results"].items():
        version = str((document.get("versions") or {}).get(task))
        directions = (document.get("higher_is_better") or {}).get(task) or {}
        task_config = document["configs"].get(task) or {}
        for key, value in metrics.items():
            metric, comma, filter_name = key.partition(",")
            number = _number(value)
            if not comma or metric.endswith("_stderr") or number is None:
                continue
            stderr = _number(metrics.get(f"{metric}_stderr,{filter_name}"))
            direction = directions.get(metric)
            yield Row(
                file=path,
                task=task,
                language=_language(task, task_config),
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
                model=identity["model"],
                condition=identity["condition"],
                dtype=identity["dtype"],
                mask=identity["mask"],
                method=identity["method"],
                hookpoint=identity["hookpoint"],
            )


def _identity(document: Mapping[str, Any]) -> dict[str, str]:
    """Model, condition and what else the signature names of a run."""
    config = document["config"]
    record = config.get("lsn")
    none = {"mask": "none", "method": "none", "hookpoint": "none"}
    if record is None:
        dtype = str(config.get("model_dtype") or "unknown").removeprefix("torch.")
        name = _pretrained(config) or document.get("model_name") or config.get("model")
        return {"model": str(name), "condition": NO_CONDITION, "dtype": dtype, **none}
    parts = dict(part.partition(":")[::2] for part in signature(record).split("|"))
    return {
        "model": record["model"]["name"],
        "condition": record["condition"],
        "dtype": record["model"]["dtype"],
        **{key: parts[key] for key in none},
    }


def _pretrained(config: Mapping[str, Any]) -> str | None:
    arguments = config.get("model_args")
    if isinstance(arguments, str):
        arguments = dict(part.partition("=")[::2] for part in arguments.split(","))
    if not isinstance(arguments, Mapping):
        return None
    return arguments.get("pretrained") or arguments.get("model")


def _signature(document: Mapping[str, Any], identity: Mapping[str, str], data: str) -> str:
    record = document["config"].get("lsn")
    if record is not None:
        return signature(record, data=data)
    names = ("model", "dtype", "mask", "method", "condition", "hookpoint")
    parts = [*(f"{name}:{identity[name]}" for name in names), f"data:{data}"]
    return "|".join([*parts, f"lm_eval:{document.get('lm_eval_version') or 'unknown'}"])


def _language(task: str, config: Mapping[str, Any]) -> str | None:
    stated = (config.get("dataset_kwargs") or {}).get("language")
    if stated:
        return str(stated)
    scripted = _SCRIPTED.search(task)
    if scripted:
        return scripted[1]
    code = task.rpartition("_")[2]
    return code if code != task and code in _CODES.split() else None


def _number(value: Any) -> float | None:
    """A number; NaN for what stands for none; None for what is no metric."""
    if isinstance(value, int | float):
        return float(value)
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "n/a", "nan")):
        return math.nan
    return None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None
