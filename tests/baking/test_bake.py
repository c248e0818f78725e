"""What a baked checkpoint is made of, what is refused, and what results of it say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from builders.architectures import saved_model, tiny_model
from builders.commands import printed, refused
from builders.masks import first_neurons, mask_at, tiny_mask
from builders.results_files import edited, ppl, task_results, write_results
from safetensors.torch import load_file

from lsn_eval import bake, read_results
from lsn_eval.baking import baking
from lsn_eval.errors import BakingError, LsnError
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.results.rows import ResultsError

INDEX = "model.safetensors.index.json"


@pytest.fixture
def model(tmp_path: Path):
    """A tiny llama in several files."""
    model = tiny_model("llama")
    model.save_pretrained(tmp_path / "model", max_shard_size="20KB")
    assert len(list((tmp_path / "model").glob("*.safetensors"))) > 2
    (tmp_path / "model" / "chat_template.jinja").write_text("{{ messages }}")
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"other weights")
    return model


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {k: t for path in folder.glob("*.safetensors") for k, t in load_file(path).items()}


def test_what_is_not_written_is_linked_and_the_rest_is_bit_equal(model, tmp_path: Path):
    mask = tiny_mask(model)
    bake(tmp_path / "model", mask, "vi:zero", tmp_path / "baked")  # in the last layer alone
    old, new = tensors(tmp_path / "model"), tensors(tmp_path / "baked")
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed == {"model.layers.1.mlp.down_proj.weight"}
    down = "model.layers.1.mlp.down_proj.weight"
    columns = (old[down] != new[down]).any(0).nonzero().flatten().tolist()
    assert columns == mask.indices("vi", "mlp.act", "1").tolist()
    assert not new[down][:, columns].any()
    linked = [p for p in (tmp_path / "baked").glob("*.safetensors") if p.stat().st_nlink > 1]
    assert len(linked) == len(list((tmp_path / "model").glob("*.safetensors"))) - 1
    there = {path.name for path in (tmp_path / "baked").iterdir()}
    assert "chat_template.jinja" in there
    assert "pytorch_model.bin" not in there
    index = json.loads((tmp_path / "baked" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(new)


def test_new_biases_are_in_the_index_and_zero_elsewhere(model, tmp_path: Path):
    mask = tiny_mask(model)
    bake(tmp_path / "model", mask, "vi:mean", tmp_path / "baked")
    new, index = tensors(tmp_path / "baked"), "model.safetensors.index.json"
    gate = new["model.layers.1.mlp.gate_proj.bias"]
    assert gate.nonzero().flatten().tolist() == mask.indices("vi", "mlp.act", "1").tolist()
    assert not new["model.layers.0.mlp.gate_proj.bias"].any()
    written = json.loads((tmp_path / "baked" / index).read_text())
    assert set(written["weight_map"]) == set(new)
    size = sum(tensor.numel() * tensor.element_size() for tensor in new.values())
    assert written["metadata"]["total_size"] == size
    assert json.loads((tmp_path / "baked" / "config.json").read_text())["mlp_bias"] is True
    assert json.loads((tmp_path / "model" / "config.json").read_text())["mlp_bias"] is False


def test_bfloat16_is_rounded_once(tmp_path: Path):
    model = saved_model(tmp_path / "model", "llama", torch.bfloat16)
    mask = mask_at(model, ["mlp.up"])
    bake(tmp_path / "model", mask, "de:x0.3", tmp_path / "baked")
    name = "model.layers.0.mlp.up_proj.weight"
    old, new = tensors(tmp_path / "model")[name], tensors(tmp_path / "baked")[name]
    rows = torch.tensor(mask.indices("de", "mlp.up", "0")).long()
    expected = old.clone()
    # Conditions hold numbers as float32.
    factor = torch.tensor(0.3, dtype=torch.float32).double()
    expected[rows] = (old[rows].double() * factor).bfloat16()
    assert new.dtype == torch.bfloat16
    assert torch.equal(new, expected)


def test_a_killed_bake_leaves_nothing_that_loads(model, tmp_path: Path, warm_commands: Path):
    tiny_mask(model).save(tmp_path / "mask.safetensors")
    killed = (
        "import os, signal, sys\n"
        "from lsn_eval.baking import baking\n"
        "baking.hold_against_hooks = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        "baking.bake('model', 'mask.safetensors', 'de:mean', 'baked')"
    )
    done = subprocess.run([warm_commands / "python", "-c", killed], cwd=tmp_path, check=False)
    assert done.returncode == -9
    assert not (tmp_path / "baked").exists()
    (left,) = tmp_path.glob(".baked.*")
    assert list(left.glob("*.safetensors"))
    assert not (left / "config.json").exists()
    from transformers import AutoModelForCausalLM

    with pytest.raises((OSError, ValueError)):
        AutoModelForCausalLM.from_pretrained(left)


@pytest.mark.parametrize("layer", ["first", "last"])
@pytest.mark.parametrize(
    ("dtype", "condition"),
    [(torch.float32, "de:3"), (torch.bfloat16, "de:3"), (torch.bfloat16, "de:x0.5")],
)
def test_weights_that_do_something_else_are_not_kept(
    dtype, condition, layer, tmp_path: Path, monkeypatch
):
    model = saved_model(tmp_path / "model", "llama", dtype)
    forget(monkeypatch, layer)
    with pytest.raises(BakingError, match="differs from the original under hooks"):
        bake(tmp_path / "model", mask_at(model, ["mlp.down"]), condition, tmp_path / "baked")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def forget(monkeypatch, layer: str) -> None:
    """Baking leaves the first or the last tensor out."""
    usual, kept = baking.edits_of, slice(1, None) if layer == "first" else slice(-1)
    monkeypatch.setattr(baking, "edits_of", lambda *of, **named: usual(*of, **named)[kept])


@pytest.mark.parametrize("layer", ["first", "last"])
def test_a_forgotten_layer_of_the_demo_model_shows(layer, tmp_path: Path, monkeypatch):
    """Its weights are bfloat16, and the condition does little."""
    forget(monkeypatch, layer)
    with pytest.raises(
        BakingError, match=r"differs from the original under hooks in model\.layers"
    ):
        bake("lsn_demo", "demo/planted", "de:x0.5", tmp_path / "baked")
    assert not list(tmp_path.iterdir())


def test_a_layer_that_does_little_is_held_by_itself(tmp_path: Path, monkeypatch):
    """One neuron in the last layer, beside thirty in the first, in bfloat16."""
    model = saved_model(tmp_path / "model", "llama", torch.bfloat16)
    mask = first_neurons(model, {"0": 30, "1": 1})
    bake(tmp_path / "model", mask, "de:x0.9", tmp_path / "baked")
    forget(monkeypatch, "last")
    with pytest.raises(BakingError, match=r"under hooks in model\.layers\.1 by 100\.0%"):
        bake(tmp_path / "model", mask, "de:x0.9", tmp_path / "other")


def test_memory_is_that_of_the_largest_file(tmp_path: Path):
    """Sixteen times the files of one size take as much memory as one time."""
    script = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from safetensors.torch import save_file
from lsn_eval.baking.checkpoint import Checkpoint
from lsn_eval.baking.edits import Edit
folder, count = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir(); (folder / "out").mkdir()
names = [f"w{n}" for n in range(count)]
import json
(folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {},
    "weight_map": {name: f"model-{name}.safetensors" for name in names}}))
for name in names:
    save_file({name: torch.ones(2048, 2048)}, folder / f"model-{name}.safetensors")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
edits = [Edit(name, np.arange(9), np.zeros(9)) for name in names]
Checkpoint(folder).write(folder / "out", edits, {})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    grown = []
    for count in (1, 16):
        run = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / str(count)), str(count)],
            capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        grown.append(int(run.stdout.split()[-1]) / 1024)
    one_file = 2048 * 2048 * 4 / 2**20
    assert grown[1] < grown[0] + 2 * one_file, grown


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: (m / "adapter_config.json").write_text("{}"), "Give --merge-adapter"),
        (lambda m: [p.unlink() for p in m.glob("*.safetensors")], "can be read"),
        (lambda m: (m / INDEX).write_text('{"metadata": {}}'), "weight_map"),
        (lambda m: (m / INDEX).write_text('{"weight_map": {"w": "../x"}}'), "no file beside it"),
        (lambda m: (m / INDEX).write_text('{"weight_map": {"w": 3}}'), "weight_map"),
        (lambda m: (m / "config.json").write_text("{}"), "no config that can be read"),
        (lambda m: edited(m / "config.json", lambda c: c.update(lsn_eval={"x": 1})), "already"),
        (
            lambda m: (m / "config.json").write_text(
                json.dumps(
                    json.loads((m / "config.json").read_text())
                    | {"quantization_config": {"quant_method": "gptq", "bits": 4}}
                )
            ),
            "quantised (gptq), so that its weights cannot",
        ),
    ],
)
def test_a_checkpoint_that_cannot_be_changed_is_refused(model, spoil, message, tmp_path: Path):
    spoil(tmp_path / "model")
    tiny_mask(model).save(tmp_path / "mask.safetensors")
    said = refused(
        "bake", "--model", tmp_path / "model", "--mask", tmp_path / "mask.safetensors",
        "--condition", "de:zero", "--out", tmp_path / "baked",
    )  # fmt: skip
    assert message in said
    assert not (tmp_path / "baked").exists()


def test_what_is_there_is_replaced_on_request_alone(model, tmp_path: Path):
    mask = tiny_mask(model)
    first = bake(tmp_path / "model", mask, "de:zero", tmp_path / "baked")
    with pytest.raises(LsnError, match="would be lost"):
        bake(tmp_path / "model", mask, "fr:zero", tmp_path / "baked")
    second = bake(tmp_path / "model", mask, "fr:zero", tmp_path / "baked", force=True)
    assert (first.record["condition"], second.record["condition"]) == ("de:zero", "fr:zero")
    with pytest.raises(BakingError, match="this command did not write"):
        bake(tmp_path / "baked", mask, "fr:zero", tmp_path / "model", force=True)
    with pytest.raises(BakingError, match=r"config\.json is a file, and"):
        bake(tmp_path / "model", mask, "fr:zero", tmp_path / "model" / "config.json" / "new")
    with pytest.raises(BakingError, match="has the condition 'fr:zero' in its weights"):
        bake(tmp_path / "baked", mask, "de:zero", tmp_path / "twice")


def test_results_from_before_another_condition_was_baked_there_are_refused(model, tmp_path: Path):
    mask, numbers = tiny_mask(model), {ppl("de"): task_results(token_perplexity=3.5)}
    baked = tmp_path / "baked"
    bake(tmp_path / "model", mask, "de:zero", baked)
    path = write_results(
        tmp_path / "results",
        numbers,
        condition=None,
        date=time.time(),
        model_args={"pretrained": str(baked)},
    )
    assert read_results(path)[0].condition == "de:zero"
    bake(tmp_path / "model", mask, "fr:zero", baked, force=True)
    with pytest.raises(ResultsError, match="are older than the model in"):
        read_results(path)


def test_results_of_a_baked_model_are_results_of_the_condition(model, tmp_path: Path):
    """Whether `hf` ran it or a server whose tokenizer alone says which model it is."""
    mask = tiny_mask(model)
    mask.save(tmp_path / "mask.safetensors")
    said = printed(
        "bake", "--model", tmp_path / "model", "--mask", tmp_path / "mask.safetensors",
        "--condition", "de:zero", "--out", tmp_path / "baked",
    )  # fmt: skip
    baked = tmp_path / "baked"
    record = json.loads((baked / "config.json").read_text())["lsn_eval"]
    assert record["signature"] in said
    assert record["signature"] in (baked / "README.md").read_text()
    held = {"lsn_baked": record}  # what the evaluation itself wrote, of a folder that was moved
    for n, (arguments, config) in enumerate(
        [
            ({"pretrained": str(baked)}, {}),
            ({"model": "served", "tokenizer": str(baked)}, {}),
            ({"pretrained": "elsewhere"}, held),
        ]
    ):
        numbers = {ppl("de"): task_results(token_perplexity=3.5)}
        path = write_results(
            tmp_path / str(n),
            numbers,
            condition=None,
            date=time.time(),
            model_args={**arguments, "dtype": "float32"},
        )
        edited(path, lambda document, config=config: document["config"].update(config))
        (row, *_) = read_results(path)
        assert (row.condition, row.mask) == ("de:zero", f"sha256-{mask.digest[:12]}")
        assert row.model == str(tmp_path / "model")
        assert row.neurons == sum(mask.indices("de", *place).size for place in mask.places("de"))
        assert record["signature"].split("|v")[0] in row.signature


def test_a_baked_model_is_not_written_into_again(tmp_path: Path):
    bake("lsn_demo", "demo/planted", "de:zero", tmp_path / "baked")
    with pytest.raises(LsnError, match="has the condition 'de:zero' in its weights"):
        LsnHF(str(tmp_path / "baked"), condition=None, device="cpu")
