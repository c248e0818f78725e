"""The templates for clusters, run as their schedulers would run them, on the embedded model."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from lsn_eval import ActivationStats, NeuronMask, identify, read_results, record

CLUSTER = Path(__file__).resolve().parents[2] / "examples" / "cluster"
TEXTS = CLUSTER.parent / "texts"
SCRIPTS = sorted(CLUSTER.glob("*.slurm"))
TINY = {
    "MODEL": "lsn_demo", "LANGUAGES": "de,zh", "TOKENS": "3k", "BATCH_SIZE": "4",
    "TEXTS": " ".join(f"--texts {name}={TEXTS / name}.txt" for name in ("de", "zh")),
    "RECORD_ARGUMENTS": "--length 32 --device cpu --statistics counts",
    "SWEEP_ARGUMENTS": "--limit 4 --device cpu", "TASKS": "lsn_demo_ppl_zh",
    "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "HF_HUB_OFFLINE": "1",
}  # fmt: skip


@pytest.fixture
def run(warm_commands: Path) -> Callable[..., None]:
    def run(script: Path | str, folder: Path, **environment: str) -> None:
        command = ["bash", script] if isinstance(script, Path) else ["bash", "-euc", script]
        path = {"PATH": f"{warm_commands}{os.pathsep}{os.environ['PATH']}"}
        environment = os.environ | path | TINY | environment
        subprocess.run(command, cwd=folder, check=True, timeout=500, env=environment)

    return run


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_one_that_a_shell_reads(path: Path):
    subprocess.run(["bash", "-n", path], check=True)
    lines = path.read_text("utf-8").splitlines()
    first = next(n for n, line in enumerate(lines) if line and not line.startswith("#"))
    directives = [n for n, line in enumerate(lines) if line.startswith("#SBATCH ")]
    assert directives
    assert max(directives) < first, "Slurm reads no directive behind the first command"
    assert "set -euo pipefail" in lines


@pytest.mark.slow
def test_one_three_and_seven_shards_give_one_mask(tmp_path: Path, run):
    """Three by the scripts, in processes of their own."""
    for number in ("1", "2", "3"):
        array = {"SLURM_ARRAY_TASK_ID": number, "SLURM_ARRAY_TASK_COUNT": "3"}
        run(CLUSTER / "record.slurm", tmp_path, **array)
    run(CLUSTER / "merge.slurm", tmp_path)
    masks = [NeuronMask.load(tmp_path / "stats" / "mask.safetensors")]
    for jobs in (1, 7):
        folder = tmp_path / str(jobs)
        folder.mkdir()
        shards = [folder / f"{n}.safetensors" for n in range(1, jobs + 1)]
        for n, out in enumerate(shards, 1):
            texts = {name: TEXTS / f"{name}.txt" for name in ("de", "zh")}
            record(
                "lsn_demo",
                None,
                texts,
                out=out,
                tokens=3000,
                length=32,
                batch_size=4,
                statistics="counts",
                shard=(n, jobs),
            )
        stats = ActivationStats.load(*shards)
        masks.append(identify(stats, "lape"))
    assert masks[0] == masks[1] == masks[2]
    assert all(masks[0].count(language) for language in ("de", "zh"))


@pytest.mark.slow
def test_a_job_a_language_sweeps(tmp_path: Path, run):
    run(CLUSTER / "sweep.slurm", tmp_path, MASK="demo/planted", SLURM_ARRAY_TASK_ID="2")
    found = {row.condition for row in read_results(tmp_path / "sweep")}
    assert {"none", "zh:zero", "random5-zh:zero"} <= found


@pytest.mark.slow
def test_skypilots_nodes_record_the_shards(tmp_path: Path, run):
    task = yaml.safe_load((CLUSTER / "record.sky.yaml").read_text("utf-8"))
    for name in ("num_nodes", "resources", "envs", "file_mounts", "setup", "run"):
        assert task[name], name
    given = {name: str(value) for name, value in task["envs"].items()} | TINY
    node = {"OUT": str(tmp_path), "SKYPILOT_NODE_RANK": "1", "SKYPILOT_NUM_NODES": "2"}
    run(task["run"], tmp_path, **given | node)
    (shard,) = tmp_path.glob("*.safetensors")
    assert shard.name == "shard-2.safetensors"
    (corpus,) = ActivationStats.load(shard).provenance["corpora"]["de"]
    assert list(corpus["shard"]) == [2, 2]
