"""Results files as lm-eval writes them."""

from __future__ import annotations

import json
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


def lsn_record(condition: str, *, digest: str = DIGEST, dtype: str = "float32", model: str = "lsn_demo", unchanged=()) -> dict[str, Any]:  # fmt: skip
    baseline = condition == "none"
    return {
        "version": "0.1.0",
        "condition": condition,
        "model": {"name": model, "type": "llama", "dtype": dtype},
        "mask": {"name": "demo/planted", "digest": digest, "method": "planted", "languages": list(LANGUAGES), "model": "lsn_demo"},
        "neurons_per_layer": {} if baseline else {"mlp.act": {"0": 12, "1": 12}},
        "seen": {} if baseline else {"hookpoints": {}, "unchanged": list(unchanged), "overlaps": {}, "empty": []},
        "answered_from_cache": False,
    }  # fmt: skip


def write_results(
    folder: Path,
    results: dict[str, dict[str, Any]],
    *,
    condition: str | None = "none",
    date: float = 1795166306.2,
    version: Any = 1.0,
    documents: int = 48,
    higher_is_better: bool | None = False,
    model_args: Any = None,
    **record: Any,
) -> Path:
    """A results file; `condition=None` is a run of plain `hf`, without an `lsn` record."""
    config: dict[str, Any] = {
        "model": "hf" if condition is None else "lsn_hf",
        "model_args": model_args or {"pretrained": "lsn_demo", "dtype": "float32"},
        "model_dtype": f"torch.{record.get('dtype', 'float32')}",
    }
    if condition is not None:
        config["lsn"] = lsn_record(condition, **record)
    document = {
        "results": results,
        "group_subtasks": {},
        "configs": {task: {"task": task, "dataset_kwargs": {"language": task.rpartition("_")[2]}} for task in results},
        "versions": dict.fromkeys(results, version),
        "n-shot": dict.fromkeys(results, 0),
        "higher_is_better": {
            task: {key.partition(",")[0]: higher_is_better for key in metrics if "," in key and "_stderr" not in key}
            for task, metrics in results.items()
        },
        "n-samples": {task: {"original": 48, "effective": documents} for task in results},
        "config": config,
        "date": date,
        "lm_eval_version": "0.4.13",
        "model_name": "lsn_demo",
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"results_{date}.json"
    path.write_text(json.dumps(document))
    return path


def edited(path: Path, edit) -> Path:
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    return path
