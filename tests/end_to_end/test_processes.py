"""Several processes share a run: two really run, and what is written is what one writes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import lm_eval
import numpy as np
import pytest

from lsn_eval import ActivationStats, record
from lsn_eval.harness import plugin

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.stock, pytest.mark.slow]


@pytest.fixture
def launch(warm_commands: Path) -> Callable[..., str]:
    def launch(*arguments: str | Path, fails: bool = False) -> str:
        """What `lsn-eval` logs, started twice by PyTorch's launcher."""
        launcher = [warm_commands / "python", "-m", "torch.distributed.run", "--standalone"]
        twice = ["--no-python", "--nproc-per-node", "2", warm_commands / "lsn-eval"]
        environment = os.environ | {"ACCELERATE_USE_CPU": "1", "LSN_EVAL_VERBOSE": "1"}
        done = subprocess.run(
            [*launcher, *twice, *arguments],
            env=environment, capture_output=True, text=True, timeout=400,
        )  # fmt: skip
        assert bool(done.returncode) == fails, done.stderr[-3000:]
        return done.stdout + done.stderr

    return launch


def test_two_processes_evaluate_as_one(tmp_path: Path, launch) -> None:
    model = "pretrained=lsn_demo,mask=demo/planted,condition=de:zero,dtype=float32"
    tasks = ["lsn_demo_ppl_de", "lsn_demo_langacc_de"]
    log = launch(
        *("run", "--model", "lsn_hf", "--model_args", model, "--tasks", ",".join(tasks)),
        *("--limit", "9", "--batch_size", "4", "--device", "cpu", "--log_samples"),
        *("--output_path", tmp_path),
    )
    assert "on rank 0" in log
    assert "on rank 1" in log
    (path,) = tmp_path.rglob("results_*.json")
    two = json.loads(path.read_text("utf-8"))
    (samples,) = tmp_path.rglob("samples_lsn_demo_ppl_de_*")
    lines = samples.read_text("utf-8").splitlines()
    assert sorted(json.loads(line)["doc_id"] for line in lines) == list(range(9))

    with plugin.asked_for(tasks):
        one = lm_eval.simple_evaluate("lsn_hf", model, tasks, batch_size=4, device="cpu", limit=9)
    for task in tasks:
        for name, value in one["results"][task].items():
            if isinstance(value, float):
                assert two["results"][task][name] == pytest.approx(value, rel=1e-6), (task, name)
    assert two["n-samples"] == one["n-samples"]
    alone, together = (r["config"]["lsn"]["seen"]["hookpoints"]["mlp.act"] for r in (one, two))
    assert together["neurons"] == alone["neurons"]
    # Both have as many documents: lm-eval gives one of the second process's twice.
    assert 1 < together["values_overwritten"] / alone["values_overwritten"] < 1.2
    assert 0 < together["values_changed"] == together["values_compared"]


def test_two_processes_record_as_one(tmp_path: Path, launch) -> None:
    texts = {name: str(ROOT / "examples" / "texts" / f"{name}.txt") for name in ("de", "zh")}
    log = launch(
        *("record", "--model", "lsn_demo", "--tokens", "3k", "--length", "32", "--batch-size", "4"),
        *(f"--texts={name}={path}" for name, path in texts.items()),
        *("--out", tmp_path / "two", "--no-progress", "--device", "cpu"),
    )
    assert "written to" in log
    together = ActivationStats.load(tmp_path / "two")
    alone = record("lsn_demo", None, texts, tokens=3000, length=32, batch_size=4)
    assert together.tokens == alone.tokens
    for name in ("positive", "max", "p10", "median", "p90"):
        np.testing.assert_array_equal(together.get("mlp.act", name), alone.get("mlp.act", name))
    means = [stats.get("mlp.act", "mean") for stats in (together, alone)]
    np.testing.assert_allclose(*means, rtol=1e-4, atol=1e-6)
    assert np.any(means[0] != means[1]), "sums of two processes are rounded in another order"
    assert together.provenance["corpora"] == alone.provenance["corpora"]


def test_a_model_split_over_two_processes_is_refused_under_a_condition(
    tmp_path: Path, launch
) -> None:
    log = launch(
        *("run", "--model", "lsn_hf", "--tasks", "lsn_demo_ppl_de", "--limit", "2"),
        "--model_args=pretrained=lsn_demo,mask=demo/planted,condition=de:zero,tp_plan=auto",
        *("--device", "cpu", "--output_path", tmp_path),
        fails=True,
    )
    assert "is 256 wide and 512 was expected: is the layer split over devices" in log
    assert not list(tmp_path.rglob("results_*"))
