"""Baked demo models under engines without hooks give the numbers that `lsn_hf` gives."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import lm_eval
import pytest
import torch
from builders.gguf_files import write_gguf

from lsn_eval import bake
from lsn_eval.harness import plugin
from lsn_eval.models.loading import load_model
from lsn_eval.results.model_records import baked_record

pytestmark = pytest.mark.slow

CONDITIONS = ("de:zero", "de:mean")
PERPLEXITY = ("lsn_demo_ppl_de", "lsn_demo_ppl_en")
ANSWERS = ("lsn_demo_langacc_de",)


def numbers(model: str, arguments: dict[str, Any], tasks: tuple[str, ...]) -> dict[str, float]:
    """Every number of 6 documents a task."""
    with plugin.asked_for(tasks):
        done = lm_eval.simple_evaluate(
            model, arguments, list(tasks), batch_size=1, device="cpu", limit=6, bootstrap_iters=0
        )
    baked = baked_record(Path(arguments["pretrained"]))
    assert done["config"].get("lsn_baked", {}) == baked  # where the folder is not, it is known
    return {
        f"{task} {name}": value
        for task in tasks
        for name, value in done["results"][task].items()
        if isinstance(value, float)
    }


@functools.cache
def hooked(condition: str, tasks: tuple[str, ...]) -> dict[str, float]:
    arguments = {"pretrained": "lsn_demo", "mask": "demo/planted", "condition": condition}
    return numbers("lsn_hf", {**arguments, "dtype": "float32"}, tasks)


@pytest.fixture(scope="module")
def baked(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("baked")
    for n, condition in enumerate(CONDITIONS):
        bake("lsn_demo", "demo/planted", condition, folder / str(n))
    return {condition: folder / str(n) for n, condition in enumerate(CONDITIONS)}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_hf_gives_the_numbers_of_hooks(baked, condition):
    tasks = PERPLEXITY + ANSWERS
    found = numbers("hf", {"pretrained": str(baked[condition]), "dtype": "float32"}, tasks)
    # A number is written into a gate's bias and the weights that follow, in bfloat16.
    assert found == pytest.approx(
        hooked(condition, tasks), rel=1e-6 if condition == "de:zero" else 0.02
    )
    assert found != pytest.approx(hooked("none", tasks), rel=0.05)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_onnx_runtime_gives_the_numbers_of_hf(baked, condition, tmp_path, warm_commands):
    pytest.importorskip("onnxruntime_genai", reason="the engine is not installed")
    builder = [warm_commands / "python", "-m", "onnxruntime_genai.models.builder"]
    arguments = ["-m", baked[condition], "-o", tmp_path / "onnx", "-p", "fp32", "-e", "cpu"]
    subprocess.run([*builder, *map(str, arguments)], check=True, capture_output=True)
    # The builder makes up a token to begin with where a model has none; `hf` takes the end's.
    path = tmp_path / "onnx" / "genai_config.json"
    config = json.loads(path.read_text())
    config["model"]["bos_token_id"] = config["model"]["eos_token_id"]
    path.write_text(json.dumps(config))

    tasks = PERPLEXITY + ANSWERS
    found = numbers("onnxruntime-genai", {"pretrained": str(tmp_path / "onnx")}, tasks)
    reference = numbers("hf", {"pretrained": str(baked[condition]), "dtype": "float32"}, tasks)
    assert found == pytest.approx(reference, rel=1e-4)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_llama_cpp_gives_the_log_probabilities_of_hf(baked, condition, tmp_path):
    llama_cpp = pytest.importorskip("llama_cpp", reason="the engine is not installed")
    pytest.importorskip("gguf", reason="the file's format is not installed")
    model, tokenizer = load_model(baked[condition], dtype="float32", device="cpu")
    write_gguf(tmp_path / "model.gguf", model, tokenizer)
    float32 = 0  # of what is kept of earlier tokens
    engine = llama_cpp.Llama(
        str(tmp_path / "model.gguf"), logits_all=True, verbose=False, type_k=float32, type_v=float32
    )
    tokens = tokenizer("Der Hund lief durch den Wald. The dog ran on.").input_ids
    engine.eval(tokens)
    found = torch.tensor(engine.scores[: len(tokens)]).log_softmax(-1)
    with torch.no_grad():
        expected = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
    assert torch.allclose(found, expected, atol=1e-4), (found - expected).abs().max()
    plain, _ = load_model("lsn_demo", dtype="float32", device="cpu")
    with torch.no_grad():
        assert (plain(torch.tensor([tokens])).logits[0].log_softmax(-1) - found).abs().max() > 0.1
