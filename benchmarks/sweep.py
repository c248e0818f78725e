"""How much faster a sweep is than a process of `lm_eval` for every condition, with equal numbers.

    OMP_NUM_THREADS=1 python benchmarks/sweep.py --out benchmarks/sweep.json

Eight conditions (none, each language of the embedded model's mask set to 0, one control) on the
demo tasks. A round runs the sweep, then eight processes; both are whole commands, start included.
Every number and every sample of a sweep must equal those of the processes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

WHO = ("en", "de", "nl", "ru", "ar", "zh", "random1-de")
CONDITIONS = ("none", *(f"{who}:zero" for who in WHO))
TASKS = "lsn_demo_ppl"
BATCH_SIZE = "16"
MODEL_ARGS = "pretrained=lsn_demo,mask=demo/planted,dtype=float32"
SWEEP = "import typer; from lsn_eval.cli.sweep import sweep; typer.run(sweep)"
TIMES = {"date", "total_evaluation_time_seconds"}


def run(command: list[str], folder: Path) -> float:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return seconds


def sweep(folder: Path) -> float:
    options = {
        "--model": "lsn_demo", "--mask": "demo/planted", "--tasks": TASKS,
        "--conditions": ",".join(CONDITIONS), "--dtype": "float32", "--batch-size": BATCH_SIZE,
        "--device": "cpu", "--out": str(folder),
    }  # fmt: skip
    arguments = [p for pair in options.items() for p in pair]
    return run([sys.executable, "-c", SWEEP, *arguments], folder)


def processes(folder: Path) -> float:
    seconds = 0.0
    for number, condition in enumerate(CONDITIONS):
        options = {
            "--model": "lsn_hf", "--model_args": f"{MODEL_ARGS},condition={condition}",
            "--tasks": TASKS, "--batch_size": BATCH_SIZE, "--device": "cpu",
            "--output_path": str(folder / str(number)),
        }  # fmt: skip
        arguments = [p for pair in options.items() for p in pair]
        seconds += run(
            [str(Path(sys.executable).with_name("lm_eval")), *arguments, "--log_samples"], folder
        )
    return seconds


def written(folder: Path) -> dict[str, Any]:
    """Results and samples by condition, without what tells the time."""
    found = {}
    for path in folder.rglob("results_*.json"):
        results = json.loads(path.read_text("utf-8"))
        samples = {
            file.name.rpartition("_")[0]: file.read_text("utf-8")
            for file in path.parent.glob("samples_*.jsonl")
        }
        kept = {name: value for name, value in results.items() if name not in TIMES}
        found[results["config"]["lsn"]["condition"]] = (kept, samples)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rounds = []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            swept, alone = Path(folder, "swept"), Path(folder, "alone")
            swept.mkdir()
            alone.mkdir()
            seconds = {"sweep": sweep(swept), "processes": processes(alone)}
            if (one := written(swept)) != written(alone) or set(one) != set(CONDITIONS):
                raise SystemExit("the sweep's results or samples differ from the processes'")
        rounds.append({**seconds, "ratio": seconds["processes"] / seconds["sweep"]})
        print({name: round(value, 2) for name, value in rounds[-1].items()}, flush=True)
    figures = {
        "conditions": list(CONDITIONS),
        "tasks": TASKS,
        "batch_size": int(BATCH_SIZE),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "versions": {name: version(name) for name in ("torch", "transformers", "lm_eval")},
        "rounds": [{name: round(value, 2) for name, value in row.items()} for row in rounds],
        "ratio": round(statistics.median(row["ratio"] for row in rounds), 2),
        "equal_results_and_samples": True,
    }
    print(f"a sweep of {len(CONDITIONS)} conditions is {figures['ratio']} times faster")
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
