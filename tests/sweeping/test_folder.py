"""What becomes of a sweep's folder: one writer, first tries that fail, and sudden ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lsn_eval.conditions import Condition
from lsn_eval.storage.folder_lock import LOCK, only_writer
from lsn_eval.sweeping.evaluation import Evaluation
from lsn_eval.sweeping.folder import SweepFolder, results_in
from lsn_eval.sweeping.running import run_sweep
from lsn_eval.sweeping.settings import SweepError, SweepSettings

pytestmark = pytest.mark.usefixtures("task_index")


def settings(**given) -> SweepSettings:
    return SweepSettings(**{
        "model": "lsn_demo", "mask": "demo/planted", "tasks": ("lsn_demo_ppl_de",), "limit": 2,
        "device": "cpu", "batch_size": "4", "conditions": ("none", "de:zero"), **given,
    })  # fmt: skip


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_second_sweep_is_refused_and_harms_nothing(tmp_path):
    with (
        only_writer(tmp_path, SweepError),
        pytest.raises(SweepError, match="another sweep is writing"),
    ):
        run_sweep(settings(), tmp_path, progress=False)
    assert names(tmp_path) == []
    outcome = run_sweep(settings(), tmp_path, progress=False)
    assert not outcome.failed
    assert names(tmp_path) == ["de_zero", "none", "sweep.json"]
    with only_writer(tmp_path, SweepError):  # there is nothing to write
        assert run_sweep(settings(), tmp_path).skipped == ["none", "de:zero"]


def test_after_a_sudden_end_a_sweep_goes_on(tmp_path, small_lm_eval):
    killed = (
        "import os, sys; from pathlib import Path\n"
        "from lsn_eval.sweeping.evaluation import Evaluation\n"
        "from lsn_eval.sweeping.settings import SweepSettings\n"
        "from lsn_eval.sweeping.running import run_sweep\n"
        "evaluate = Evaluation.evaluate\n"
        "def end(self, condition, folder, **given):\n"
        "    evaluate(self, condition, folder, **given)\n"
        "    if condition.terms: os.kill(os.getpid(), 9)\n"
        "Evaluation.evaluate = end\n"
        f"run_sweep({settings()!r}, Path(sys.argv[1]), progress=False)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(small_lm_eval)}
    done = subprocess.run(
        [sys.executable, "-c", killed, tmp_path], env=environment, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert names(tmp_path) == [LOCK, ".unfinished", "none", "sweep.json"]
    assert "none" in str(results_in(tmp_path))
    outcome = run_sweep(settings(), tmp_path, progress=False)
    assert outcome.skipped == ["none"]
    assert not outcome.failed
    assert names(tmp_path) == ["de_zero", "none", "sweep.json"]


def test_a_first_try_that_finished_nothing_does_not_bind(tmp_path, monkeypatch):
    evaluate = Evaluation.evaluate

    def fails(self, condition, folder, **given):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Evaluation, "evaluate", fails)
    first = settings(conditions=("none", "ru:zero"), batch_size="64")
    assert len(run_sweep(first, tmp_path, progress=False).failed) == 2
    assert names(tmp_path) == ["none", "ru_zero", "sweep.json"]
    monkeypatch.setattr(Evaluation, "evaluate", evaluate)
    assert not run_sweep(settings(), tmp_path, progress=False).failed
    kept = json.loads((tmp_path / "sweep.json").read_text("utf-8"))["arguments"]
    assert kept["batch_size"] == "4"
    assert not list(tmp_path.rglob("failed.json")), "of other arguments"
    with pytest.raises(SweepError) as refused:
        run_sweep(settings(dtype="bfloat16", metadata={"a": 1}), tmp_path)
    said = str(refused.value)
    assert '; model_args was {"mask"' in said
    assert 'metadata was {} and is {"a": 1}; model_args' in said, (
        "what repeats model_args is left out"
    )
    with pytest.raises(SweepError) as refused:
        run_sweep(settings(dtype="bfloat16"), tmp_path)
    assert "metadata" not in str(refused.value)


def test_a_finished_condition_is_never_replaced(tmp_path):
    folder = SweepFolder(tmp_path, {"mask_digest": "0", "model_args": {}})
    condition = Condition.parse("de:zero")
    (folder.begin(condition) / "results_2.json").write_text("mine")
    theirs = tmp_path / "de_zero" / "results_1.json"
    theirs.parent.mkdir()
    theirs.write_text("theirs")
    with pytest.raises(OSError, match="not empty"):
        folder.finish(condition)
    folder.fail(condition, RuntimeError("later"))
    assert names(tmp_path / "de_zero") == ["results_1.json"]
    assert theirs.read_text() == "theirs"
