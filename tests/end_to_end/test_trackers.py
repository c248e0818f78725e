"""Results that lm-eval's own loggers send: the `lsn` record and signature arrive, keys do not."""

from __future__ import annotations

import io
import json
import shutil
import sys
import types
from contextlib import contextmanager
from importlib.machinery import ModuleSpec

import pytest
from builders.hub_server import TOKEN, hub_in_place
from lm_eval.__main__ import cli_evaluate

from lsn_eval.comparing import compare
from lsn_eval.results import read_results
from lsn_eval.storage.shipped import demo_model_dir

pytestmark = pytest.mark.slow

TASKS = ("lsn_demo_ppl_de", "lsn_demo_langacc_de")
SIGNATURE = (
    "model:lsn_demo|dtype:float32|mask:sha256-3986c9d8f34d|method:planted|condition:de:zero|"
)


class Run:
    """What a run of Weights & Biases is told."""

    def __init__(self) -> None:
        self.config, self.summary, self.logged, self.artifacts = Told(), Told(), {}, {}

    def log(self, values, step=None):
        self.logged |= values

    def log_artifact(self, artifact):
        self.artifacts |= artifact.files

    def finish(self):
        pass


class Told(dict):
    def update(self, values, allow_val_change=False):
        super().update(values)


class Artifact:
    def __init__(self, name, type):
        self.files = {}

    @contextmanager
    def new_file(self, name, mode, encoding):
        written = io.StringIO()
        yield written
        self.files[name] = written.getvalue()


@pytest.fixture
def weights_and_biases(monkeypatch) -> list[Run]:
    """A stand-in for its package, which keeps what it is told; the package itself is not here."""
    runs: list[Run] = []
    wandb = types.ModuleType("wandb")
    wandb.__spec__ = ModuleSpec("wandb", None)  # other packages ask whether it is there
    wandb.__version__, wandb.run, wandb.Artifact = "0.22.0", None, Artifact
    wandb.init = lambda **arguments: runs.append(Run()) or runs[-1]
    wandb.Table = lambda columns: types.SimpleNamespace(add_data=lambda *row: None)
    printer = types.ModuleType("wandb.sdk.lib.printer")
    printer.new_printer = lambda: None
    for name in ("wandb.sdk", "wandb.sdk.lib"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, printer.__name__, printer)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    return runs


def evaluated(condition, out, monkeypatch, *arguments, model="lsn_demo"):
    """`lm_eval run` as it is typed, in this process."""
    model_args = f"pretrained={model},mask=demo/planted,condition={condition},dtype=float32"
    words = [
        "lm_eval", "run", "--model", "lsn_hf", "--model_args", model_args,
        "--tasks", ",".join(TASKS), "--limit", "4", "--batch_size", "4", "--device", "cpu",
        "--log_samples", "--output_path", str(out), *arguments,
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", words)
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


def test_weights_and_biases_hold_record_numbers_and_samples(
    weights_and_biases, tmp_path, monkeypatch
):
    monkeypatch.setenv("WANDB_API_KEY", TOKEN)
    evaluated("de:zero", tmp_path, monkeypatch, "--wandb_args", "project=neurons")
    (run,) = weights_and_biases
    (path,) = tmp_path.rglob("results_*.json")
    written = json.loads(path.read_text())["config"]["lsn"]
    sent = json.loads(json.dumps(run.config["cli_configs"]["lsn"], default=list))
    assert sent == written
    assert sent["signature"].startswith(SIGNATURE)
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "results_sent.json").write_text(run.artifacts["results.json"])
    numbers = {(row.task, row.name): row.value for row in read_results([path])}
    rows = read_results([tmp_path / "sent"])
    assert {(row.task, row.name): row.value for row in rows} == numbers
    assert {row.condition for row in rows} == {"de:zero"}
    for task in TASKS:
        assert len(json.loads(run.artifacts[f"{task}_eval_samples.json"])) == 4
        assert len(run.logged[f"{task}_eval_results"]) == 4
    assert TOKEN not in repr((run.config, run.summary, run.logged, run.artifacts))
