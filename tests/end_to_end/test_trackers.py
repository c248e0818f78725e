"""Results that lm-eval's own loggers send: the `lsn` record and signature arrive, keys do not."""

from __future__ import annotations

import json
import shutil
import sys
from importlib.machinery import ModuleSpec
from unittest.mock import MagicMock

import pytest
from builders.hub_server import TOKEN, hub_in_place
from lm_eval.__main__ import cli_evaluate

from lsn_eval.comparing import compare
from lsn_eval.harness import plugin
from lsn_eval.results import read_results
from lsn_eval.storage.shipped import demo_model_dir

pytestmark = pytest.mark.slow

TASKS = ("lsn_demo_ppl_de", "lsn_demo_langacc_de")
SIGNATURE = (
    "model:lsn_demo|dtype:float32|mask:sha256-3986c9d8f34d|method:planted|condition:de:zero|"
)


@pytest.fixture
def wandb(monkeypatch) -> MagicMock:
    """A stand-in for the package of Weights & Biases, which keeps every call."""
    module = MagicMock(__version__="0.22.0", run=None, __spec__=ModuleSpec("wandb", None))
    for name in ("wandb", "wandb.sdk", "wandb.sdk.lib", "wandb.sdk.lib.printer"):
        monkeypatch.setitem(sys.modules, name, module)
    return module


def evaluated(condition, out, monkeypatch, *arguments, model="lsn_demo"):
    """`lm_eval run` as it is typed, in this process, which need not know lm-eval's own tasks."""
    model_args = f"pretrained={model},mask=demo/planted,condition={condition},dtype=float32"
    words = [
        "lm_eval", "run", "--model", "lsn_hf", "--model_args", model_args,
        "--tasks", ",".join(TASKS), "--limit", "4", "--batch_size", "4", "--device", "cpu",
        "--log_samples", "--output_path", str(out), *arguments,
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", words)
    with plugin.asked_for(TASKS):
        cli_evaluate()


def test_a_hub_dataset_holds_results_that_are_compared(tmp_path, monkeypatch):
    options = (
        "hub_results_org=someone,details_repo_name=results,push_results_to_hub=True,"
        "push_samples_to_hub=True,public_repo=True"
    )
    # lm-eval cannot make the card of a dataset where a model has no token to begin with.
    small = shutil.copytree(demo_model_dir(), tmp_path / "small")
    tokenizer = json.loads((small / "tokenizer_config.json").read_text())
    tokenizer["bos_token"] = tokenizer["eos_token"]
    (small / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    monkeypatch.chdir(tmp_path)
    with hub_in_place(monkeypatch, tmp_path / "cache") as hub:
        for condition in ("none", "de:zero"):
            arguments = (condition, tmp_path / condition, monkeypatch, "--hf_hub_log_args", options)
            evaluated(*arguments, model="small")
    _, files = hub.commits["someone/results"][-1]
    for path, content in files.items():
        target = tmp_path / "downloaded" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        assert TOKEN.encode() not in content
    found = read_results([tmp_path / "downloaded"])
    assert {row.condition for row in found} == {"none", "de:zero"}
    assert {row.signature for row in found} == {
        row.signature for name in ("none", "de:zero") for row in read_results([tmp_path / name])
    }
    change = compare([tmp_path / "downloaded"]).panels[0].change("de:zero", "de")
    assert change.row.signature.startswith(SIGNATURE.replace("lsn_demo", "small"))
    assert (change.obstacles, change.documents) == ((), 4)  # from the samples
    assert b"small" in files["README.md"]


def test_weights_and_biases_hold_record_numbers_and_samples(wandb, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", TOKEN)
    evaluated("de:zero", tmp_path, monkeypatch, "--wandb_args", "project=neurons")
    run, artifact = wandb.init.return_value, wandb.Artifact.return_value
    (path,) = tmp_path.rglob("results_*.json")
    written = json.loads(path.read_text())["config"]["lsn"]
    sent = run.config.update.call_args.args[0]["cli_configs"]["lsn"]
    assert json.loads(json.dumps(sent, default=list)) == written
    assert written["signature"].startswith(SIGNATURE)
    names = [call.args[0] for call in artifact.new_file.call_args_list]
    texts = artifact.new_file.return_value.__enter__.return_value.write.call_args_list
    files = dict(zip(names, (call.args[0] for call in texts), strict=True))
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "results_sent.json").write_text(files["results.json"])
    sent, there = (read_results([place]) for place in (tmp_path / "sent", path))
    assert [(row.key, row.value) for row in sent] == [(row.key, row.value) for row in there]
    logged = {
        name: value for call in run.log.call_args_list for name, value in call.args[0].items()
    }
    for task in TASKS:
        assert len(json.loads(files[f"{task}_eval_samples.json"])) == 4
        assert len(logged[f"{task}_eval_results"]) == 4
    assert TOKEN not in repr(wandb.mock_calls)
