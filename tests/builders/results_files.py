"""Results files and samples as lm-eval writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

DIGEST = "3986c9d8f34d3e5c1d74ef168dc1fbeb36c2b9baf47284d54f35300138f3ae71"


LANGUAGES = ("en", "de", "zh")


def ppl(language: str) -> str:
    return f"lsn_demo_ppl_{language}"


def task_results(**metrics: Any) -> dict[str, Any]:
    """`token_perplexity=3.5` or `acc=(0.5, 0.01)` as lm-eval writes them."""
    found: dict[str, Any] = {"alias": "a task", "sample_len": 48}
    for name, value in metrics.items():
        number, stderr = value if isinstance(value, tuple) else (value, "N/A")
        found[f"{name},none"] = number
        found[f"{name}_stderr,none"] = stderr
    return found


def lsn_record(
    condition: str,
    *,
    model: str = "lsn_demo",
    dtype: str = "float32",
    digest: str = DIGEST,
    mask: Mapping[str, Any] | None = None,
    neurons: tuple[int, int] = (12, 12),
    hookpoints: Mapping[str, Any] | None = None,
    unchanged: Sequence[str] = (),
) -> dict[str, Any]:
    """What `lsn_hf` says of a run: `mask` beside its digest, neurons in two layers, what the hooks
    saw."""
    baseline = condition == "none"
    seen = {
        "hookpoints": hookpoints or {},
        "unchanged": list(unchanged),
        "overlaps": {},
        "empty": [],
    }
    return {
        "version": "0.1.0", "condition": condition, "answered_from_cache": False,
        "model": {"name": model, "type": "llama", "dtype": dtype},
        "mask": {
            "name": "demo/planted", "digest": digest, "method": "planted",
            "languages": list(LANGUAGES), "model": model, **(mask or {}),
        },
        "neurons_per_layer": {} if baseline else {"mlp.act": dict(zip("01", neurons, strict=True))},
        "seen": {} if baseline else seen,
    }  # fmt: skip


def write_document(
    folder: Path,
    results: Mapping[str, Mapping[str, Any]],
    *,
    condition: str | None = "none",
    samples: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    configs: Mapping[str, Mapping[str, Any]] | None = None,
    config: Mapping[str, Any] | None = None,
    documents: Mapping[str, int] | None = None,
    of: int = 48,
    higher_is_better: Mapping[str, bool | None] | None = None,
    version: Any = 1.0,
    date: float = 1.0,
    stamp: str | None = None,
    edit: Callable[[dict[str, Any]], object] | None = None,
    **record: Any,
) -> Path:
    """A results file and samples: `results`, `samples`, `configs` and `documents` (evaluated, `of`
    so many) by task, `higher_is_better` by metric; `condition=None` is a run of plain `hf`, without
    an `lsn_record`; `stamp` is in the names of the files, the date where none is given.
    """
    model, dtype = record.get("model", "lsn_demo"), record.get("dtype", "float32")
    run = {
        "model": "hf" if condition is None else "lsn_hf",
        "model_args": {"pretrained": model, "dtype": dtype},
        "model_dtype": f"torch.{dtype}",
        "model_revision": "main",
        "gen_kwargs": {},
        "fewshot_seed": 1234,
        **(config or {}),
    }
    if condition is not None:
        run = {"lsn": lsn_record(condition, **record)} | run
    counts = {task: (documents or {}).get(task, of) for task in results}
    document = {
        "results": results,
        "group_subtasks": {},
        "configs": {
            task: {
                "task": task, "dataset_kwargs": {"language": task.rpartition("_")[2]},
                **(configs or {}).get(task, {}),
            }
            for task in results
        },
        "versions": dict.fromkeys(results, version),
        "n-shot": dict.fromkeys(results, 0),
        "higher_is_better": {task: dict(higher_is_better or {}) for task in results},
        "n-samples": {task: {"original": of, "effective": n} for task, n in counts.items()},
        "config": run,
        "date": date,
        "lm_eval_version": "0.4.13",
        "transformers_version": "5.0",
        "tokenizer_eos_token": ["</s>", "2"],
        "max_length": 2048,
        "model_name": model,
        "system_instruction": None,
    }  # fmt: skip
    if edit:
        edit(document)
    folder.mkdir(parents=True, exist_ok=True)
    stamp = stamp or str(date)
    path = folder / f"results_{stamp}.json"
    path.write_text(json.dumps(document), "utf-8")
    for task, logged in (samples or {}).items():
        lines = "".join(json.dumps(sample) + "\n" for sample in logged)
        (folder / f"samples_{task}_{stamp}.jsonl").write_text(lines, "utf-8")
    return path


def write_results(
    folder: Path,
    results: Mapping[str, Mapping[str, Any]],
    *,
    documents: int = 48,
    higher_is_better: bool | None = False,
    date: float = 1795166306.2,
    model_args: Any = None,
    **given: Any,
) -> Path:
    """Numbers without samples, all of them better high or better low."""
    metrics = {key.partition(",")[0] for metrics in results.values() for key in metrics}
    return write_document(
        folder, results, date=date, documents=dict.fromkeys(results, documents),
        higher_is_better=dict.fromkeys(metrics, higher_is_better),
        config={"model_args": model_args} if model_args else None, **given,
    )  # fmt: skip


def edited(path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    return path
