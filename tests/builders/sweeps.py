"""Small sweeps of the embedded model, and what they leave on disk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from builders.commands import Result, invoke
from lsn_eval.sweeping.evaluation import Evaluation
from lsn_eval.sweeping.settings import SweepSettings


def sweep_settings(**given: Any) -> SweepSettings:
    """Two documents of one task, and whatever is given beside or instead."""
    return SweepSettings(**{
        "model": "lsn_demo", "mask": "demo/planted", "dtype": "float32", "device": "cpu",
        "batch_size": "4", "tasks": ("lsn_demo_ppl_de",), "limit": 2, **given,
    })  # fmt: skip


def seen_always(seen: dict[str, Any]) -> dict[str, Any]:
    """Of what the hooks saw, what does not depend on which passes were looked at."""
    for counts in seen.get("hookpoints", {}).values():
        assert 0 < counts.pop("values_compared") <= counts["values_overwritten"]
        counts["values_changed"] = counts["values_changed"] > 0
    return seen


def written(folder: Path) -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    """Results and samples by condition, without what tells the time or how batches were made."""
    conditions = {}
    for path in folder.rglob("results_*.json"):
        # lm-eval writes the functions of a few-shot configuration with their addresses.
        results = json.loads(re.sub(r" at 0x[0-9a-f]+>", ">", path.read_text("utf-8")))
        samples = {
            file.name.rpartition("_")[0]: file.read_text("utf-8")
            for file in path.parent.glob("samples_*.jsonl")
        }
        for name in ("date", "total_evaluation_time_seconds"):
            results.pop(name)
        seen_always(results["config"]["lsn"]["seen"])
        conditions[results["config"]["lsn"]["condition"]] = (results, samples)
    return conditions


@contextmanager
def breaking(error: BaseException, *names: str, finished: bool = False) -> Iterator[None]:
    """Within the block, evaluating these conditions ends in `error`: with half a file written, or
    with all of them."""
    evaluate = Evaluation.evaluate

    def broken(self: Evaluation, condition: Any, folder: Path, **given: Any) -> Any:
        breaks = str(condition) in names
        if breaks and not finished:
            (folder / "half").write_text("")
            raise error
        done = evaluate(self, condition, folder, **given)
        if breaks:
            raise error
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evaluation, "evaluate", broken)
        yield


def command(*arguments: object) -> Result:
    """`lsn-eval sweep`, in process; what is given twice counts the second time."""
    usual = (
        "--model", "lsn_demo", "--mask", "demo/planted", "--tasks", "lsn_demo_ppl_de",
        "--dtype", "float32", "--device", "cpu", "--limit", "2",
    )  # fmt: skip
    return invoke("sweep", *usual, *arguments, COLUMNS="200")
