"""Neurons that are left out of a checkpoint: what it holds then, and that it does the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from builders.architectures import saved_model, tiny_model
from builders.baked import held_against_hooks
from builders.masks import first_neurons, mask_at
from builders.mixtures import MIXTURES, tiny_mixture
from safetensors.torch import load_file

from lsn_eval import bake
from lsn_eval.baking.baking import BakedModel
from lsn_eval.errors import BakingError
from lsn_eval.models.loading import auto_class
from lsn_eval.models.resolving import resolve


def pruned(
    name: str, folder: Path, condition: str = "de:zero", at: str = "mlp.act", **given: Any
) -> tuple[BakedModel, Any]:
    """Bakes a tiny model, and holds it against hooks; returns the new model, too."""
    model = tiny_mixture(name) if name in MIXTURES else tiny_model(name)
    if given.pop("tied", False):
        model.config.tie_word_embeddings = True
        model.tie_weights()
    model.save_pretrained(folder / "model", max_shard_size=given.pop("shards", "50GB"))
    model = auto_class(model.config).from_pretrained(folder / "model").eval()
    mask = mask_at(model, [at])
    return held_against_hooks(folder / "model", model, name, mask, condition, prune=True, **given)


WIDTHS = {
    "llama": {"intermediate_size": 43},
    "gpt2": {"n_inner": 43},
    "glm": {"intermediate_size": 43},
    "modernbert": {"intermediate_size": 43},
    "falcon": {"ffn_hidden_size": 43},
    "gemma3": {"intermediate_size": 43},
    "bart": {"encoder_ffn_dim": 43, "decoder_ffn_dim": 43},
    "mt5": {"d_ff": 43},
    # Kernels of experts want 16 bytes a row.
    "gpt_oss": {"intermediate_size": 20},
    "granitemoe": {"intermediate_size": 20},
    "mixtral": {"intermediate_size": 20},
    "qwen2_moe": {"intermediate_size": 44, "moe_intermediate_size": 20, "shared_expert_intermediate_size": 36},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", WIDTHS)
def test_a_narrower_model_is_the_original_under_hooks(name: str, tmp_path: Path):
    """Of 48 neurons, 24 of an expert and 40 of a shared one, 5 are removed."""
    at = "mlp.down_in" if name == "gpt_oss" else "mlp.act"
    baked, new = pruned(name, tmp_path, at=at, align=4 if name in MIXTURES else 1)
    config = json.loads((tmp_path / "baked" / "config.json").read_text())
    text = config.get("text_config", config)
    assert {key: text[key] for key in WIDTHS[name]} == WIDTHS[name]
    usual = 4 if name in MIXTURES else 5
    places = len(resolve(new).at("mlp.down_in"))
    assert (
        baked.record["model"]["pruned"] == config["lsn_eval"]["model"]["pruned"] == usual * places
    )
    assert "|hookpoint:" in baked.record["signature"]
    assert f"{at}(pruned)|" in baked.record["signature"]
    sizes = [
        sum(path.stat().st_size for path in (tmp_path / folder).glob("*.safetensors")) / 2**20
        for folder in ("baked", "model")
    ]
    assert baked.facts["weights"] == f"{sizes[0]:,.1f} MiB, {sizes[1]:,.1f} before"
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(
    ("tied", "shards"), [(False, "10KB"), (True, "10KB"), (True, "50GB")], ids=str
)
def test_files_and_their_index_say_what_is_left(tied: bool, shards: str, tmp_path: Path):
    """A number at `mlp.down_in` is in the bias: its neuron has no effect of its own, either."""
    pruned("llama", tmp_path, "de:0.5", "mlp.down_in", tied=tied, shards=shards, align=1)
    new = {
        key: tensor
        for path in (tmp_path / "baked").glob("*.safetensors")
        for key, tensor in load_file(path).items()
    }
    assert ("lm_head.weight" in new) != tied
    for part, shape in (("gate", [43, 32]), ("up", [43, 32]), ("down", [32, 43])):
        assert list(new[f"model.layers.1.mlp.{part}_proj.weight"].shape) == shape
        assert list(new[f"model.layers.1.mlp.{part}_proj.bias"].shape) == shape[:1]
    if shards == "10KB":
        index = json.loads((tmp_path / "baked" / "model.safetensors.index.json").read_text())
        assert set(index["weight_map"]) == set(new)
        numbers = sum(tensor.numel() for tensor in new.values())
        expected = {"total_parameters": numbers, "total_size": 4 * numbers}
        assert index["metadata"] == expected


@pytest.mark.parametrize(("align", "width"), [(1, 38), (8, 40), (16, None)])
def test_all_layers_are_as_wide_as_the_one_that_keeps_most(align, width, tmp_path: Path):
    """The others are filled up with zeros."""
    model = saved_model(tmp_path / "model", "llama")
    mask = first_neurons(model, {"0": 10, "1": 20})

    def make() -> None:
        bake(tmp_path / "model", mask, "de:zero", tmp_path / "new", prune=True, align=align)

    if width is None:
        with pytest.raises(BakingError, match="stays 48, since layer 0 keeps 38 neurons"):
            make()
        assert not (tmp_path / "new").exists()
        return
    make()
    old, new = (load_file(tmp_path / name / "model.safetensors") for name in ("model", "new"))
    for layer, first in (("0", 10), ("1", 20)):
        for part in ("gate", "up", "down"):
            name = f"model.layers.{layer}.mlp.{part}_proj.weight"
            before, after = (w[name].T if part == "down" else w[name] for w in (old, new))
            assert after.shape[0] == width
            assert torch.equal(after[: 48 - first], before[first:])
            assert not after[48 - first :].any()


def test_a_width_that_follows_from_another_is_set(tmp_path: Path):
    """As in GPT-2 itself, whose `n_inner` is null; spread by accelerate for the check."""
    sizes = {"n_embd": 12, "n_layer": 2, "n_head": 2, "vocab_size": 257, "n_positions": 64}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes))
    model.save_pretrained(tmp_path / "model")
    mask = first_neurons(model, {"0": 10, "1": 20})
    bake(tmp_path / "model", mask, "de:zero", tmp_path / "new", prune=True, device="auto")
    configs = [json.loads((tmp_path / of / "config.json").read_text()) for of in ("model", "new")]
    assert [config["n_inner"] for config in configs] == [None, 40]


@pytest.mark.parametrize(
    ("name", "condition", "counts", "align", "message"),
    [
        ("llama", "de:x0.5", {"0": 9, "1": 9}, 1, "no neuron is without effect"),
        ("llama", "none", {"0": 9, "1": 9}, 1, "no neuron is without effect"),
        ("llama", "de:zero", {"0": 40}, 1, "since layer 1 keeps 48 neurons"),
        ("llama", "de:zero", {"0": 9, "1": 9}, 0, "--align 0"),
        ("mpt", "de:zero", {"0": 9, "1": 9}, 1, "a 'mpt' model has no width to set"),
        ("gemma3n_text", "de:zero", {"0": 9, "1": 9}, 1, "model has no width to set"),
    ],
)
def test_what_cannot_be_narrower_is_refused(
    name, condition, counts, align, message, tmp_path: Path
):
    model = saved_model(tmp_path / "model", name)
    with pytest.raises(BakingError, match=message):
        bake(
            tmp_path / "model", first_neurons(model, counts), condition, tmp_path / "new",
            prune=True, align=align,
        )  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
