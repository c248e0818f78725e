"""The examples do what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lsn_eval import NeuronMask

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.slow
def test_intervene_prints_a_perplexity_for_every_condition():
    shown = subprocess.run(
        [sys.executable, EXAMPLES / "intervene.py"], check=True, capture_output=True, text=True
    ).stdout
    perplexity = {
        line.split(": ")[0]: float(line.split("perplexity ")[1].split(",")[0])
        for line in shown.splitlines()
        if "perplexity" in line
    }
    assert list(perplexity) == ["none", "de:zero", "random1-de:zero", "de:zero/nl:p90"]
    assert perplexity["de:zero"] > 1.2 * perplexity["none"]
    assert perplexity["random1-de:zero"] < 1.1 * perplexity["none"]


@pytest.mark.stock
def test_from_text_to_number(tmp_path, small_lm_eval):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", EXAMPLES / "from_text_to_number.sh", tmp_path / "out"],
        check=True,
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(small_lm_eval)},
    )
    found = NeuronMask.load(tmp_path / "out" / "lape.safetensors")
    planted = NeuronMask.load("demo/planted")
    shared = found & planted
    for language in planted.languages:
        assert shared.count(language) >= 0.95 * planted.count(language)
        assert shared.count(language) >= 0.95 * found.count(language)
    perplexity = {}
    for file in (tmp_path / "out" / "results").rglob("results_*.json"):
        results = json.loads(file.read_text("utf-8"))
        perplexity[results["config"]["lsn"]["condition"]] = {
            task: result["token_perplexity,none"] for task, result in results["results"].items()
        }
    none, zero, control = (perplexity[c] for c in ("none", "de:zero", "random1-de:zero"))
    assert zero["lsn_demo_ppl_de"] > 1.2 * none["lsn_demo_ppl_de"]
    assert zero["lsn_demo_ppl_ru"] == pytest.approx(none["lsn_demo_ppl_ru"], rel=0.02)
    assert control["lsn_demo_ppl_de"] < 1.1 * none["lsn_demo_ppl_de"]
