"""Adapters, quantised checkpoints and GGUF files: what is baked of them, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from builders.architectures import saved_model
from builders.baked import held_against_hooks, scores
from builders.gguf_files import write_gguf
from builders.masks import mask_at
from safetensors.torch import load_file, save_file

from lsn_eval import bake
from lsn_eval.errors import BakingError
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.models.loading import auto_class, load_model


def check(folder: Path, original: Any, condition: str = "de:zero", **given: Any) -> dict[str, Any]:
    """Bakes the model that is in `folder` and was made of llama; returns its record."""
    mask = mask_at(original, ["mlp.act"])
    baked, _ = held_against_hooks(folder, original, "llama", mask, condition, **given)
    assert not list(folder.parent.glob(".*"))
    return baked.record


def adapter(folder: Path, model: Any, base: Path | str, **changed: Any) -> Any:
    """Saves a LoRA adapter of `model` there; returns the merged model."""
    peft = pytest.importorskip("peft")
    chosen = peft.LoraConfig(
        r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False, **changed
    )
    torch.manual_seed(1)
    adapted = peft.get_peft_model(model, chosen)
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.save_pretrained(folder)
    return adapted.merge_and_unload()


def test_an_adapter_is_merged_before_it_is_baked(tmp_path: Path):
    """A number, too: what the down projection makes of it is of the merged weight."""
    model = saved_model(tmp_path / "base", "llama")
    plain = scores(model, "llama")
    merged = adapter(tmp_path / "adapter", model, tmp_path / "base")
    assert not torch.allclose(scores(merged, "llama"), plain, atol=1e-3)
    with pytest.raises(BakingError, match="Give --merge-adapter"):
        check(tmp_path / "adapter", merged)
    record = check(tmp_path / "adapter", merged, "de:0.75", merge_adapter=True)
    assert record["model"]["name"] == f"{tmp_path}/base+{tmp_path}/adapter"
    assert not (tmp_path / "baked" / "adapter_config.json").exists()


def fp8(folder: Path) -> Any:
    """A llama whose linear layers are in 8 bits, and what that means in full precision."""
    model = saved_model(folder, "llama", torch.bfloat16)
    tensors = load_file(folder / "model.safetensors")
    for name in [name for name in tensors if "_proj" in name]:
        # A power of two, so that nothing but the 8 bits rounds.
        scale = torch.tensor([[2.0**-6]])
        small = (tensors[name].float() / scale).to(torch.float8_e4m3fn)
        model.get_parameter(name).data = (small.float() * scale).bfloat16()
        tensors |= {name: small, f"{name}_scale_inv": scale}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    says_quantised(folder, quant_method="fp8", weight_block_size=[128, 128])
    model.save_pretrained(folder.parent / "whole")
    return auto_class(model.config).from_pretrained(folder.parent / "whole", dtype=torch.float32)


def says_quantised(folder: Path, **how: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": how}))


def test_a_quantised_checkpoint_is_dequantised_on_request(tmp_path: Path):
    original = fp8(tmp_path / "model")
    with pytest.raises(BakingError, match=r"quantised \(fp8\).*or give --dequantise"):
        check(tmp_path / "model", original)
    record = check(tmp_path / "model", original, dequantise=True)
    assert record["model"]["name"] == f"{tmp_path}/model(fp8)"
    assert "quantization_config" not in (tmp_path / "baked" / "config.json").read_text()


@pytest.mark.parametrize("quantised", [False, True])
def test_a_gguf_file_is_dequantised_on_request(quantised: bool, tmp_path: Path):
    pytest.importorskip("gguf")
    model, tokenizer = load_model("lsn_demo", dtype="float32", device="cpu")
    (tmp_path / "files").mkdir()
    file = tmp_path / "files" / "small.gguf"
    write_gguf(file, model, tokenizer, quantised)
    given = {"pretrained": str(file.parent), "gguf_file": file.name, "device": "cpu"}
    hooked = LsnHF(**given, mask="demo/planted", condition="none")
    assert torch.equal(scores(hooked.model, "llama"), scores(model, "llama")) != quantised
    with pytest.raises(BakingError, match=r"quantised \(gguf\).*or give --dequantise"):
        check(file, hooked.model)
    record = check(file, hooked.model, dequantise=True, prune=True, align=1)
    assert record["model"]["name"] == hooked.get_model_info()["lsn"]["model"]["name"]
    _, words = load_model(file.parent / "baked", dtype="float32", device="cpu")
    assert words("Der Hund.").input_ids == tokenizer("Der Hund.").input_ids
    whole = file.read_bytes()
    for most in (100, 20_000, len(whole) // 2):
        file.write_bytes(whole[:most])
        with pytest.raises(BakingError, match="no config that can be read"):
            bake(file, "demo/planted", "de:zero", tmp_path / "broken", dequantise=True)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"quant_method": "gptq", "bits": 4}, r"quantised \(gptq\), and transformers cannot"),
        ({"quant_method": "hush"}, r"quantised \(hush\), and .*it knows no such method"),
        ({"quant_method": "fp8"}, r"it finds no model\.norm\.weight in the files"),
    ],
)
def test_what_transformers_cannot_dequantise_here_is_refused(how, message, tmp_path: Path):
    model = saved_model(tmp_path / "model", "llama")
    if how["quant_method"] == "fp8":
        tensors = load_file(tmp_path / "model" / "model.safetensors")
        del tensors["model.norm.weight"]
        save_file(tensors, tmp_path / "model" / "model.safetensors", metadata={"format": "pt"})
    says_quantised(tmp_path / "model", **how)
    with pytest.raises(BakingError, match=message):
        check(tmp_path / "model", model, dequantise=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_an_adapter_that_cannot_be_merged_is_refused(tmp_path: Path, monkeypatch):
    model = saved_model(tmp_path / "base", "llama")
    adapter(tmp_path / "adapter", model, tmp_path / "base")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    monkeypatch.setitem(sys.modules, "peft", None)
    for changed, message in (
        ({}, "needs peft: pip install peft"),
        ({"base_model_name_or_path": None}, "base_model_name_or_path"),
    ):
        path = tmp_path / "adapter" / "adapter_config.json"
        path.write_text(json.dumps(config | changed))
        with pytest.raises(BakingError, match=message):
            check(tmp_path / "adapter", model, merge_adapter=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda found: found.popitem(), r"missing adapter keys.*layers\.1\..*lora_"),
        (dict.clear, r"missing adapter keys.*layers\.0\..*lora_"),
        (lambda found: found.update(_of_more_layers(found)), r"no place for .*layers\.7\.[^\n]*$"),
        (lambda found: found.update(_narrower(found)), r"size mismatch for [^\n]*$"),
    ],
    ids=["one-is-missing", "all-are-missing", "of-more-layers", "of-another-width"],
)
def test_an_adapter_that_does_not_fit_its_model_is_refused(damage, message, tmp_path: Path):
    model = saved_model(tmp_path / "base", "llama")
    adapter(tmp_path / "adapter", model, tmp_path / "base")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    found = dict(sorted(load_file(file).items()))
    damage(found)
    save_file(found, file, metadata={"format": "pt"})
    with pytest.raises(BakingError, match=message):
        check(tmp_path / "adapter", model, merge_adapter=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]


def _of_more_layers(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    deep = {name.replace("layers.1.", "layers.7."): tensor for name, tensor in found.items()}
    return {name: tensor.clone() for name, tensor in deep.items() if "layers.7." in name}


def _narrower(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor[:, :-1].clone() for name, tensor in found.items()}
