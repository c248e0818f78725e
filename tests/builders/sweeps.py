"""Small sweeps of the embedded model, and what they leave on disk."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from lsn_eval.cli import app
from lsn_eval.sweeping.settings import SweepSettings


def sweep_settings(**given: Any) -> SweepSettings:
    """Two documents of one task, and whatever is given beside or instead."""
    return SweepSettings(**{
        "model": "lsn_demo", "mask": "demo/planted", "dtype": "float32", "device": "cpu",
        "batch_size": "4", "tasks": ("lsn_demo_ppl_de",), "limit": 2, **given,
    })  # fmt: skip


def written(folder: Path) -> dict[str, tuple[dict[str, Any], dict[str, str]]]:
    """Results and samples by condition, without what tells the time."""
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
        conditions[results["config"]["lsn"]["condition"]] = (results, samples)
    return conditions


def command(*arguments: object) -> Result:
    """`lsn-eval sweep`, in process; what is given twice counts the second time."""
    usual = (
        "--model", "lsn_demo", "--mask", "demo/planted", "--tasks", "lsn_demo_ppl_de",
        "--dtype", "float32", "--device", "cpu", "--limit", "2",
    )  # fmt: skip
    every = ["sweep", *usual, *map(str, arguments)]
    return CliRunner().invoke(app, every, env={"COLUMNS": "200"})
