"""What engines read of a baked folder, and what they are known to leave out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from builders.architectures import tiny_model
from builders.masks import mask_at
from safetensors import safe_open

from lsn_eval import bake
from lsn_eval.baking.engines import ignored_by

BIASES = {f"mlp.{part}_proj.bias" for part in ("gate", "up", "down")}
"""All of a layer: engines merge gate and up, which have a bias both or neither."""
QKVO = {f"self_attn.{part}_proj.bias" for part in "qkvo"}
OTHERS = ("generation_config.json", "tokenizer.json", "tokenizer_config.json", "merges.txt")


def read(folder: Path) -> tuple[dict[str, Any], dict[str, tuple[str, list[int]]], dict[str, str]]:
    """What vLLM and SGLang read: the config, every tensor's precision and shape, and which file
    the index, where there is one, says that it is in."""
    config = json.loads((folder / "config.json").read_text())
    tensors, files = {}, {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            assert file.metadata() == {"format": "pt"}
            for name in list(file.keys()):
                part = file.get_slice(name)
                tensors[name] = (part.get_dtype(), part.get_shape())
                files[name] = path.name
    index = folder / "model.safetensors.index.json"
    if index.exists():
        assert json.loads(index.read_text())["weight_map"] == files
    return config, tensors, files


@pytest.mark.parametrize(
    ("name", "at", "condition", "given", "settings", "added"),
    [
        ("llama", "mlp.act", "de:zero", {}, {}, set()),
        ("llama", "mlp.act", "de:0.75", {}, {"mlp_bias": True}, BIASES),
        ("llama", "attn.q", "de:0.75", {}, {"attention_bias": True}, QKVO),
        ("llama", "mlp.act", "de:zero", {"prune": True, "align": 1}, {"intermediate_size": 43}, set()),
        ("qwen3", "attn.k", "de:+mean", {}, {"attention_bias": True}, QKVO),
        ("gpt2", "mlp.act", "de:mean", {}, {}, set()),
        ("glm", "mlp.act", "de:x0.5", {}, {}, set()),
    ],
)  # fmt: skip
def test_engines_read_what_they_read_of_the_original(
    name, at, condition, given, settings, added, tmp_path: Path
):
    """But for the settings of biases and width, and the tensors that these are of."""
    model = tiny_model(name, torch.bfloat16)
    model.save_pretrained(tmp_path / "model", max_shard_size="10KB")
    for other in OTHERS:
        (tmp_path / "model" / other).write_text(json.dumps({"of": other}))
    bake(tmp_path / "model", mask_at(model, [at]), condition, tmp_path / "baked", **given)
    old, new = (read(tmp_path / folder) for folder in ("model", "baked"))
    assert new[0].pop("lsn_eval")["condition"] == condition
    assert new[0] == {**old[0], **settings}
    assert {key.split(".", 3)[-1] for key in new[1].keys() - old[1].keys()} == added
    assert len(new[1]) - len(old[1]) == len(added) * 2
    assert {dtype for dtype, _ in new[1].values()} == {"BF16"}
    narrower = {key for key in old[1] if old[1][key] != new[1][key]}
    assert len(narrower) == (6 if "intermediate_size" in settings else 0)
    assert {key: new[2][key] for key in old[2]} == old[2]
    for other in OTHERS:
        texts = [(tmp_path / folder / other).read_bytes() for folder in ("model", "baked")]
        assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("llama", {}, []),
        ("llama", {"attention_bias": True, "intermediate_size": 40}, []),
        ("llama", {"mlp_bias": True}, ["SGLang 0.5.23 leaves out MLP biases"]),
        ("qwen3", {"attention_bias": True}, ["vLLM 0.33 leaves out the bias of attn.o"]),
        ("gpt2", {}, []),
    ],
)
def test_what_an_engine_leaves_out_is_said(name, settings, expected):
    assert ignored_by(tiny_model(name).config, settings) == expected


def test_what_is_said_stands_in_the_card(tmp_path: Path):
    model = tiny_model("llama")
    factors = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    model.config.rope_parameters = {
        "rope_type": "llama3", "rope_theta": 1e4, "original_max_position_embeddings": 32, **factors
    }  # fmt: skip
    model.save_pretrained(tmp_path / "model")
    mask = mask_at(model, ["mlp.act"])
    baked = bake(tmp_path / "model", mask, "de:0.75", tmp_path / "baked")
    engines = (
        "SGLang 0.5.23 leaves out MLP biases; CTranslate2 4.8 leaves out the factor of RoPE scaling"
    )
    assert baked.facts["engines"] == engines
    assert engines in (tmp_path / "baked" / "README.md").read_text()
