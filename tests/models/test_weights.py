"""Weights are told apart to the last element, and are the same wherever they lie."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from builders.architectures import tiny_model
from torch import nn

from lsn_eval.models import weights
from lsn_eval.models.weights import BLOCK, files_identity, weights_fingerprint


def linear(*sizes: int, seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(*sizes)


def test_equals_a_plain_sum() -> None:
    layer = linear(BLOCK, 1)
    factors = weights._odd_numbers()
    words = layer.weight.detach().numpy().view(np.int32).ravel().tolist()
    plain = sum(word * int(factor) for word, factor in zip(words, factors, strict=True))
    found = weights._block_sums(layer.weight, torch.from_numpy(factors))
    assert int(found[0]) % 2**64 == plain % 2**64


@pytest.mark.parametrize("at", [0, 16, BLOCK - 1, BLOCK, 70_000, 79_999])
def test_one_changed_element_is_another_fingerprint(at: int) -> None:
    layer = linear(1000, 80)
    before = weights_fingerprint(layer)
    assert before == weights_fingerprint(linear(1000, 80))
    with torch.no_grad():
        element = layer.weight.view(-1)[at : at + 1]
        element.copy_(torch.nextafter(element, torch.tensor([9.0])))
    assert weights_fingerprint(layer) != before


def test_exchanged_elements_names_and_shapes_are_other_fingerprints() -> None:
    layer = linear(8, 4)
    prints = {weights_fingerprint(layer)}
    with torch.no_grad():
        layer.weight[[0, 1]] = layer.weight[[1, 0]]
    prints.add(weights_fingerprint(layer))
    layer.weight = nn.Parameter(layer.weight.reshape(8, 4))
    prints.add(weights_fingerprint(layer))
    prints.add(weights_fingerprint(nn.Sequential(layer)))
    layer.register_buffer("scale", torch.ones(3, dtype=torch.int64))
    prints.add(weights_fingerprint(layer))
    layer.scale[2] = 2**40
    prints.add(weights_fingerprint(layer))
    assert len(prints) == 6


def test_place_precision_and_cutting_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    half = tiny_model("llama", torch.bfloat16)
    expected = weights_fingerprint(half)
    assert weights_fingerprint(tiny_model("llama", torch.bfloat16).float()) == expected
    monkeypatch.setattr(weights, "_CPU_BLOCKS", 1)
    assert weights_fingerprint(half) == expected
    from accelerate import cpu_offload

    offloaded = cpu_offload(half)
    assert all(parameter.is_meta for parameter in offloaded.parameters())
    assert weights_fingerprint(offloaded) == expected
    assert all(parameter.is_meta for parameter in offloaded.parameters())


def test_files_that_a_model_is_loaded_from(tmp_path: Path) -> None:
    top = tmp_path / "model"
    names = ["config.json", "deep/a.safetensors", "deep/deeper/chat.jinja", "sub/config.json"]
    others = ["results/table.json", ".cache/a.bin"]
    for name in (*names, *others):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(name)
    (top / "deep" / "up").symlink_to(top)
    assert [entry[0] for entry in files_identity(top)] == names[:3]
    assert [entry[0] for entry in files_identity(str(top), "sub")] == names
    assert "../sub/config.json" in [entry[0] for entry in files_identity(top / "deep", "../sub")]
    for name in names:
        before = files_identity(top, "sub")
        file = top / name
        file.write_text(name[::-1])
        os.utime(file, ns=(1, 1))
        assert files_identity(top, "sub") != before
    assert files_identity("organisation/name") == []
    assert files_identity(top / "config.json") == []


def test_linked_weights_count(tmp_path: Path) -> None:
    """As in the Hub's cache, and as somebody may link a subfolder."""
    for name in ("blobs", "other", "model"):
        (tmp_path / name).mkdir()
    (tmp_path / "blobs" / "a.safetensors").write_bytes(b"x")
    (tmp_path / "other" / "a.safetensors").write_bytes(b"xx")
    link = tmp_path / "model" / "sub"
    link.symlink_to(tmp_path / "blobs")
    before = files_identity(tmp_path / "model", "sub")
    assert len(before) == 1
    link.unlink()
    link.symlink_to(tmp_path / "other")
    assert files_identity(tmp_path / "model", "sub") != before


def by_torchao(kind: str, layer: nn.Module) -> nn.Module:
    api = pytest.importorskip(
        "torchao.quantization", reason="not in the dev extra: docs/switches.md"
    )
    api.quantize_(layer, getattr(api, kind)())
    return layer


QUANTISERS = {
    "PyTorch": lambda layer: torch.ao.quantization.quantize_dynamic(layer, {nn.Linear}),
    "torchao": lambda layer: by_torchao("Int8WeightOnlyConfig", layer),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("quantised", QUANTISERS.values(), ids=QUANTISERS)
def test_quantised_weights_are_told_apart(quantised) -> None:
    """They are no parameters of the module, or tensors of another package."""

    def fingerprint(change: float = 0.0, of: str = "weight") -> str:
        layer = linear(64, 32)
        with torch.no_grad():
            getattr(layer, of).view(-1)[5] += change
        return weights_fingerprint(quantised(nn.Sequential(layer)))

    prints = [fingerprint(), fingerprint(0.05), fingerprint(0.05, "bias")]
    assert fingerprint() == prints[0]
    assert len(set(prints)) == 3


def test_how_torchao_quantises_is_told_apart() -> None:
    kinds = ("Int8WeightOnlyConfig", "Int8DynamicActivationInt8WeightConfig")
    prints = {weights_fingerprint(by_torchao(k, nn.Sequential(linear(64, 32)))) for k in kinds}
    assert len(prints) == 2
