"""What was run, as tables: models, masks, conditions with what the hooks saw, tasks, set-up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from lsn_eval.results.controls import controlled
from lsn_eval.results.rows import Row
from lsn_eval.results.run_files import RunFile, scalar
from lsn_eval.results.settings import about, mapping
from lsn_eval.storage.masked_secrets import masked, secret_texts, without
from lsn_eval.tables import Cell, Table
from lsn_eval.visible_text import shortened
from lsn_eval.wording.lists import counted

_LONGEST = 160
"""Characters of a setting in a cell; the whole is in its detail."""


def run_tables(runs: Sequence[RunFile], *, all_controls: bool = False) -> list[Table]:
    """In the order in which a reader asks."""
    tables = [
        _counted("Models", map(_model, runs)),
        _counted("Masks", [_mask(run) for run in runs if run.record.get("mask")]),
        _conditions(runs, all_controls),
        _tasks(runs),
        _counted("Versions, seeds, dates", map(_setup, runs)),
    ]
    return [table for table in tables if table.rows]


def rows_without_keys(runs: Sequence[RunFile]) -> list[Row]:
    """The rows without keys in the settings, which the reason of a refusal repeats."""
    hidden = {text for run in runs for text in secret_texts(run.config)}
    return [
        replace(row, settings={name: without(text, hidden) for name, text in row.settings.items()})
        for run in runs
        for row in run.rows
    ]


def day_and_time(seconds: float) -> str:
    """In UTC, to the minute."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return "unknown"
    return moment.strftime("%Y-%m-%d %H:%M UTC") if seconds else "unknown"


def _model(run: RunFile) -> dict[str, Any]:
    revision, commit = run.config.get("model_revision"), run.config.get("model_sha")
    return {
        "model": run.model,
        "type": mapping(run.record.get("model")).get("type"),
        "parameters": run.config.get("model_num_parameters"),
        "dtype": run.rows[0].dtype,
        "revision": f"{revision} ({commit})" if revision and commit else revision or commit,
        "lm_eval model": run.config.get("model"),
        "device": run.config.get("device"),
        "batch size": run.config.get("batch_size"),
    }


def _mask(run: RunFile) -> dict[str, Any]:
    mask = mapping(run.record.get("mask"))
    return {
        "mask": mask.get("name"),
        "digest (SHA-256)": mask.get("digest"),
        "method": mask.get("method"),
        "languages": ", ".join(map(str, mask.get("languages") or ())),
        "made for": mask.get("model"),
    }


def _conditions(runs: Sequence[RunFile], all_controls: bool) -> Table:
    """A row a condition and mask, summed over its files; controls from the least to the most."""
    groups: dict[tuple[str, str, str], list[RunFile]] = {}
    for run in runs:
        groups.setdefault((run.model, run.mask, run.condition), []).append(run)
    parents = {key: (*key[:2], controlled(key[2])) for key in groups}
    rows = []
    for key in groups:
        if parents[key] in groups:
            continue
        twins = [other for other in groups if other[2] == key[2] and other != key]
        which = f"model {key[0]}, mask {key[1]}" if twins else ""
        rows.append((Cell(key[2], detail=which), *_counts([groups[key]])))
        controls = [other for other in groups if parents[other] == key]
        if all_controls:
            rows += [(Cell(f"  {c[2]}"), *_counts([groups[c]])) for c in controls]
        elif controls:
            names = ", ".join(other[2] for other in controls)
            label = Cell(f"  {counted(len(controls), 'control')}", detail=names)
            rows.append((label, *_counts([groups[other] for other in controls])))
    return Table(
        title="Conditions, and what the hooks saw",
        columns=(
            "condition", "neurons", "layers", "calls", "values overwritten", "values changed",
            "unchanged sites", "files",
        ),
        rows=tuple(rows),
        notes=(
            "Calls are passes through a hooked layer, summed over hookpoints and files. An "
            "unchanged site is a hookpoint of a layer where every value written was there already.",
        ),
    )  # fmt: skip


def _counts(groups: Sequence[Sequence[RunFile]]) -> tuple[Cell, ...]:
    """Cells of one condition, or of several as `least to most`."""
    unchanged = [
        dict.fromkeys(site for run in group for row in run.rows for site in row.unchanged)
        for group in groups
    ]
    sites = dict.fromkeys(site for of in unchanged for site in of)
    layers = mapping(groups[0][0].record.get("neurons_per_layer"))
    named = ", ".join(
        f"{point}: {counted(len(mapping(of)), 'layer')}" for point, of in layers.items()
    )
    each = "; ".join(
        f"{point}: " + ", ".join(f"layer {name} {n}" for name, n in mapping(of).items())
        for point, of in layers.items()
    )
    calls, overwritten, changed = (
        _between([hook_total(group, name) for group in groups])
        for name in ("calls", "values_overwritten", "values_changed")
    )
    if any(run.record.get("answered_from_cache") for group in groups for run in group):
        told = "answered from the response cache"
        calls = Cell(f"{calls.text} (cache)", calls.value, detail=told)
    lengths = _between([len(of) for of in unchanged]).text
    return (
        _between([group[0].rows[0].neurons for group in groups]),
        Cell(named, detail=each),
        calls,
        overwritten,
        changed,
        Cell(lengths, float(len(sites)), "unchanged" if sites else "", ", ".join(sites)),
        _between([sum(map(len, groups))]),
    )


def seeds(run: RunFile) -> list[Any]:
    """As lm_eval takes them, in its order."""
    return [run.config.get(f"{name}_seed") for name in ("random", "numpy", "torch", "fewshot")]


def hook_total(runs: Sequence[RunFile], name: str) -> int:
    """What the hooks counted under a name."""
    hookpoints = [mapping(run.seen.get("hookpoints")).values() for run in runs]
    counts = [mapping(count).get(name) for points in hookpoints for count in points]
    return sum(count for count in counts if isinstance(count, int))


def _between(numbers: Sequence[int]) -> Cell:
    low, high = min(numbers), max(numbers)
    return Cell(f"{low:,}" if low == high else f"{low:,} to {high:,}", float(high))


def _tasks(runs: Sequence[RunFile]) -> Table:
    found: dict[tuple[Any, ...], dict[str, None]] = {}
    for run in runs:
        for row in run.rows:
            if row.group:
                continue
            samples = mapping(about(run.document, "n-samples", row.task))
            generation = {
                **mapping(run.tasks.get(row.task, {}).get("generation_kwargs")),
                **mapping(run.config.get("gen_kwargs")),
            }
            told = json.dumps(masked(generation), sort_keys=True, ensure_ascii=False, default=str)
            key = (
                row.task, row.version, row.language, run.tasks.get(row.task, {}).get("output_type"),
                row.shots, samples.get("effective"), samples.get("original"),
                told if generation else "none",
            )  # fmt: skip
            found.setdefault(tuple(map(scalar, key)), {})[row.name] = None
    rows = []
    for (*named, shots, effective, original, generation_text), metrics in found.items():
        documents = _cell(effective)
        if original is not None and original != effective:
            documents = Cell(f"{effective} of {original}", documents.value, "", "--limit was given")
        last = map(_cell, (generation_text, ", ".join(metrics)))
        rows.append((*map(_cell, named), _cell(shots), documents, *last))
    return Table(
        title="Tasks",
        columns=(
            "task", "version", "language", "requests", "few-shot", "documents", "generation",
            "metrics",
        ),
        rows=tuple(rows),
    )  # fmt: skip


def _setup(run: RunFile) -> dict[str, Any]:
    document, limit = run.document, run.config.get("limit")
    told = ["none" if seed is None else str(seed) for seed in seeds(run)]
    return {
        "lsn_eval": run.record.get("version"),
        "lm_eval": document.get("lm_eval_version"),
        "transformers": document.get("transformers_version"),
        "seeds (python/numpy/torch/few-shot)": "/".join(told),
        "system instruction": document.get("system_instruction") or "none",
        "chat template": document.get("chat_template_sha") or "none",
        "limit": "none" if limit is None else limit,
        "date": day_and_time(run.date).partition(" ")[0],
    }


def _counted(title: str, rows_of_files: Iterable[dict[str, Any]]) -> Table:
    """Equal rows once, with the number of files."""
    told = list(rows_of_files)
    counts = Counter(tuple(scalar(masked(value)) for value in row.values()) for row in told)
    rows = tuple((*map(_cell, key), _cell(count)) for key, count in counts.items())
    return Table(title=title, columns=(*(told[0] if told else ()), "files"), rows=rows)


def _cell(value: Any) -> Cell:
    if value is None or value == "":
        return Cell("unknown")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(f"{value:,}" if isinstance(value, int) else str(value), float(value))
    text = str(value)
    return Cell(shortened(text, _LONGEST), detail=text if len(text) > _LONGEST else "")
