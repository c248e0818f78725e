"""Results files and samples in lm-eval's own format, from numbers that a test makes up."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from builders.results_files import write_document
from lsn_eval.comparing import Comparison, Draws, Panel, compare
from lsn_eval.results import read_results

LANGUAGES = ("en", "de", "zh")
QUICK = Draws(resamples=200, permutations=199)


def aggregate(metric: str, items: Sequence[Any]) -> float:
    """What lm-eval makes of the items, in plain loops."""
    items = [item for item in items if item is not None]
    if isinstance(items[0], (tuple, list)):
        over, under = sum(item[0] for item in items), sum(item[1] for item in items)
        return math.exp(-over / under) if "perplexity" in metric else over / under
    mean = sum(items) / len(items)
    return math.exp(-mean) if "perplexity" in metric else mean


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_run(
    folder: Path,
    condition: str | None,
    tasks: Mapping[str, Mapping[str, Sequence[Any]]],
    *,
    values: Mapping[str, float] | None = None,
    samples: bool = True,
    model: str = "org/model",
    edit_sample: Callable[[str, dict[str, Any]], None] | None = None,
    configs: Mapping[str, Any] | None = None,
    **given: Any,
) -> Path:
    """A results file with samples: `tasks` holds items, one a document, by task and metric.

    `values` replaces what the items give, by metric; `configs` are of every task; `given` is for
    `write_document`.
    """
    results, logged = {}, {}
    for task, metrics in tasks.items():
        told = values or {}
        numbers = {x: told[x] if x in told else aggregate(x, metrics[x]) for x in metrics}
        results[task] = {"alias": task, **{f"{name},none": x for name, x in numbers.items()}}
        logged[task] = [
            {
                "doc_id": number, "filter": "none", "metrics": list(metrics),
                "doc_hash": sha(f"{task} {number}"), "prompt_hash": sha(f"prompt {number}"),
                "target_hash": sha("target"), "arguments": {"gen_args_0": {"arg_0": "text"}},
                "resps": [[str(list(items))]], **dict(zip(metrics, items, strict=True)),
            }
            for number, items in enumerate(zip(*metrics.values(), strict=True))
        ]  # fmt: skip
        for sample in logged[task] if edit_sample else ():
            edit_sample(task, sample)
    listed = {
        task: {"metric_list": [{"metric": metric} for metric in metrics], **(configs or {})}
        for task, metrics in tasks.items()
    }
    return write_document(
        folder, results, condition=condition, configs=listed, model=model,
        documents={task: len(of) for task, of in logged.items()},
        samples=logged if samples else None, **given,
    )  # fmt: skip


def write_sweep(
    root: Path,
    *,
    languages: Sequence[str] = LANGUAGES,
    documents: int = 12,
    controls: int = 2,
    effect: float = 0.5,
    seed: int = 0,
    metric: str = "token_perplexity",
    conditions: Sequence[str] | None = None,
    **given: Any,
) -> dict[tuple[str, str], list[tuple[float, int]]]:
    """none, LANG:zero and its controls; (log-likelihood, tokens) by condition and language."""
    generator = np.random.default_rng(seed)
    tokens = {x: generator.integers(20, 60, size=documents) for x in languages}
    base = {x: -tokens[x] * generator.normal(1.5, 0.2, size=documents) for x in languages}
    found = {}
    every = ["none"]
    for own in languages:
        every += [f"{own}:zero", *(f"random{k + 1}-{own}:zero" for k in range(controls))]
    for condition in conditions or every:
        for x in languages:
            size = effect if condition == f"{x}:zero" else 0.02
            loss = tokens[x] * generator.normal(size, size / 4 + 0.01, size=documents)
            loss *= condition != "none"
            found[condition, x] = [
                (float(b - w), int(t)) for b, w, t in zip(base[x], loss, tokens[x], strict=True)
            ]
        tasks = {f"ppl_{x}": {metric: found[condition, x]} for x in languages}
        write_run(root / condition.replace(":", "_"), condition, tasks, **given)
    return found


def two_runs(
    root: Path, before: Mapping[str, Any], after: Mapping[str, Any], **given: Any
) -> Panel:
    """The panel of `none` and `de:zero`, `given` of the latter; metrics by task."""
    write_run(root / "none", "none", before)
    write_run(root / "zero", "de:zero", after, **given)
    (panel,) = compared(root).panels
    return panel


def compared(*paths: Path, draws: Draws = QUICK, **given: Any) -> Comparison:
    return compare(read_results(paths), draws=draws, **given)
