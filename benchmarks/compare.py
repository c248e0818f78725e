"""What `lsn-eval compare` takes for 1,000 results files, with and without samples, one thread.

    lsn-eval sweep --model lsn_demo --mask demo/planted --tasks lsn_demo_ppl --each zero \\
      --dtype float32 --batch-size 16 --device cpu --out sweep
    OMP_NUM_THREADS=1 python benchmarks/compare.py sweep

The files are copies of the sweep's under the names of 165 controls a language. Each run is a
process of its own, import included. Prints JSON; the last figures are in benchmarks/compare.json
(`--out` writes them).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = (sys.executable, "-c", "from lsn_eval.cli import main; main()", "compare")


def copies(sweep: Path, target: Path, controls: int) -> int:
    """Lay out the sweep and its copies; the number of results files."""
    count = 0
    for results in sorted(sweep.rglob("results_*.json")):
        condition = json.loads(results.read_bytes())["config"]["lsn"]["condition"]
        if condition.startswith("random"):
            continue
        repeats = 1 if condition == "none" else controls + 1
        for number in range(repeats):
            folder = target / f"{condition.replace(':', '_')}_{number}"
            shutil.copytree(results.parent, folder)
            if number:
                file = folder / results.name
                text = file.read_text("utf-8")
                file.write_text(
                    text.replace(f'"{condition}"', f'"random{number}-{condition}"'), "utf-8"
                )
            count += 1
    return count


def seconds(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([*COMMAND, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--controls", type=int, default=165)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        count = copies(arguments.sweep, folder, arguments.controls)
        size = sum(file.stat().st_size for file in folder.rglob("*.json*"))
        ways = {
            "start (--help)": ("--help",),
            "without samples (--no-tests)": (str(folder), "--no-tests"),
            "with samples": (str(folder),),
            "with samples, CSV of all metrics": (str(folder), "--format", "csv"),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.rounds):  # in turn, so that all meet the same noise
            for name, given in ways.items():
                times[name].append(round(seconds(*given), 2))
    figures = {"results files": count, "megabytes": round(size / 1e6), "seconds": times}
    text = json.dumps(figures, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
