"""What a sweep would do: its conditions, tasks and requests, without the model's weights."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

from lsn_eval.lm_tasks.token_counts import model_tokenizer
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.loading import empty_model
from lsn_eval.models.resolving import needs_weights, resolve
from lsn_eval.results.languages import language_of
from lsn_eval.storage.outside_files import Fields, read_json
from lsn_eval.sweeping.evaluation import Evaluation
from lsn_eval.sweeping.running import quiet, started
from lsn_eval.sweeping.settings import SweepError, SweepSettings

COUNTED_DOCUMENTS = 100
"""Of a task, whose requests are built to be counted; those of the rest are taken to be as many."""


def estimate_sweep(settings: SweepSettings, out: Path) -> dict[str, Any]:
    """What `run_sweep` would do; nothing is written, and no weights are loaded.

    Returns:
        In plain types: `finished`, results files by condition; `to_run`, conditions in their order;
        `tasks` by name, each with its `language`, `documents` and `requests` under one condition
        (exact up to `COUNTED_DOCUMENTS` documents), none where nothing is to be run; `seconds`,
        going by the finished conditions, None without any; `requests` of all that is to be run.

    Raises:
        LsnError: conditions, mask, model, tasks or `out` do not fit.
    """
    with quiet():
        mask, _, outcome, to_do = started(settings, out)
        tasks = {}
        if to_do:
            evaluation = Evaluation(settings, out)
            check_fit(settings, mask if any(condition.terms for condition in to_do) else None)
            if model_tokenizer(evaluation.configuration.model_args) is None:
                raise SweepError(f"there is no tokenizer of {settings.model} that can be loaded")
            tasks = _tasks(evaluation)
    took = [taken for path in outcome.finished.values() if (taken := _seconds(path)) is not None]
    return {
        "finished": {condition: str(path) for condition, path in outcome.finished.items()},
        "to_run": list(map(str, to_do)),
        "tasks": tasks,
        "seconds": fmean(took) * len(to_do) if took and to_do else None,
        "requests": len(to_do) * sum(task["requests"] for task in tasks.values()),
    }


def check_fit(settings: SweepSettings, mask: NeuronMask | None) -> None:
    """Hold the mask, if one is needed, against the model's configuration: no weights are read.

    Raises:
        LsnError: the mask does not fit, or there is no such model.
    """
    given = {"trust_remote_code": settings.trust_remote_code, **settings.model_args}
    named = ("revision", "trust_remote_code", "subfolder", "gguf_file")
    arguments = {name: given[name] for name in named if name in given}
    model = empty_model(settings.model, **arguments)
    if mask is not None and not needs_weights(model):
        mask.check_model(resolve(model))


def _tasks(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    from lm_eval.evaluator_utils import get_sample_size

    sizes = {}
    for name, task in evaluation.loaded_tasks().items():
        there = len(task.eval_docs)
        limit = get_sample_size(task, evaluation.configuration.limit)
        documents = there if limit is None else min(there, limit)
        counted = min(documents, COUNTED_DOCUMENTS)
        task.build_all_requests(limit=counted, rank=0, world_size=1)
        requests = sum(instance.repeats or 1 for instance in task.instances)
        sizes[name] = {
            "language": language_of(name, task.dump_config()),
            "documents": documents,
            "requests": round(requests * documents / max(1, counted)),
        }
    return sizes


def _seconds(results: Path) -> float | None:
    """How long a finished condition took, as its results file says."""
    file = Fields(read_json(results, SweepError), str(results), SweepError)
    with suppress(KeyError, TypeError, ValueError):
        return float(file.value["total_evaluation_time_seconds"])  # lm-eval writes a text
    return None
