"""`python -m benchmarks` runs, every row has its figures, and the page shows them; no time is
asserted, since a busy machine would make that fail."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = ("intervening", "recording", "generation", "identification")
COMMANDS = ("start_and_report", "sweeping", "scaling")
"""Each in a test of its own, since they start processes."""


def run(folder: Path, *arguments: str) -> tuple[dict, str]:
    """Figures and page of a run."""
    figures, page = folder / "figures.json", folder / "page.md"
    command = [sys.executable, "-m", "benchmarks", *arguments, "--table", str(page)]
    given = [] if "--from" in arguments else ["--out", str(figures)]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*command, *given], cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return json.loads(figures.read_text()), page.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "groups", [HERE, *(pytest.param((of,), marks=pytest.mark.stock, id=of) for of in COMMANDS)]
)
def test_every_benchmark_runs_and_the_page_shows_it(groups, tmp_path):
    figures, page = run(tmp_path, "--mode", "smoke", "--only", *groups)
    assert figures["failed"] == {}
    for row in figures["ratios"]:
        assert all(math.isfinite(value) for value in (*row["process"], *row["wall"]))
        assert (f"*{row['base']}, again*" if row["way"] == "again" else row["way"]) in page
    cases = {(row["case"], row["base"]) for row in figures["ratios"]}
    controls = {(row["case"], row["base"]) for row in figures["ratios"] if row["way"] == "again"}
    assert cases == controls  # each with the noise beside it
    for curve in figures["curves"]:
        assert all(point["seconds"] > 0 < point["peak_mib"] for point in curve["points"])
        assert f"| {curve['curve']} |" in page
    assert str(figures["machine"]["versions"]["torch"]) in page
    assert os.uname().nodename not in json.dumps(figures["machine"])


def test_a_page_is_made_of_figures_without_measuring(tmp_path):
    points = [
        {"at": 10, "seconds": 1.0, "peak_mib": 9.6},
        {"at": 1000, "seconds": 10, "peak_mib": 10},
    ]
    row = {"group": "g", "case": "c", "base": "b", "way": "w", "seconds": 1, "rounds": 3}
    figures = {
        "machine": {
            "processor": "p", "cores": 2, "threads": "1", "device": "cpu", "load": 0.1,
            "versions": {"torch": "2"},
        },
        "mode": "full",
        "ratios": [{**row, "process": [0.9, 1.0, 1.1], "wall": [1, 2, 3]}],
        "curves": [{"curve": "x", "points": points}],
        "failed": {"nnsight": "no network"},
    }  # fmt: skip
    (tmp_path / "figures.json").write_text(json.dumps(figures))
    _, page = run(tmp_path, "--from", str(tmp_path / "figures.json"))
    assert "| c | w | 1.000 [0.900, 1.100] | 2.000 [1.000, 3.000] | 3 |" in page
    assert "| x | 10 | 1.00 | 10 |  |\n|  | 1,000 | 10.00 | 10 | 0.50 |" in page
    assert "`nnsight` could not be measured: no network" in page
