"""Recording mixtures of experts, against a loop over single rows, tokens and choices of the router."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from builders.architectures import tiny_model
from builders.mixtures import (
    EXPERTS,
    SHARED,
    by_a_slow_loop,
    expert_weights,
    experts_of,
    tiny_mixture,
)
from builders.plain_recording import TEXTS, assert_same
from safetensors import safe_open
from safetensors.numpy import save_file

from lsn_eval import NeuronMask
from lsn_eval.errors import MaskError, RecordingError, StatisticsError
from lsn_eval.identification import IdentificationError, identify
from lsn_eval.recording import count_above_thresholds, record
from lsn_eval.statistics import ActivationStats
from lsn_eval.statistics.routing import rarely_reached

SETTINGS: dict[str, Any] = {"length": 32, "batch_size": 4, "pack": False}
ROUTED = [f"{layer}.{number}" for layer in "02" for number in range(EXPERTS)]


@torch.no_grad()
def slow_loop(model: Any, ids: list[list[int]]) -> dict[str, np.ndarray]:
    """Values of `mlp.act` [token, neuron] by layer, of the tokens that reached it."""
    values, given = defaultdict(list), {}
    of_layers = list(enumerate(model.model.layers))
    for number, layer in of_layers:
        keep = lambda module, args, number=number: given.__setitem__(number, args)  # noqa: E731
        moe = getattr(layer.mlp, "experts", layer.mlp)
        moe.register_forward_pre_hook(keep)
    for row in ids:
        model(torch.tensor([row]))
        for number, layer in of_layers:
            if number == 1:  # dense
                gate = layer.mlp.gate_proj(given[number][0][0])
                values["1"] += list(torch.nn.functional.silu(gate))
                continue
            hidden, index, _ = given[number]
            shared = layer.mlp.shared_expert.gate_proj(hidden)
            values[f"{number}.shared"] += list(torch.nn.functional.silu(shared))
            for token, choices in zip(hidden, index.tolist(), strict=True):
                for expert in choices:
                    weights = expert_weights(experts_of(model, "qwen2_moe", str(number)), expert)
                    values[f"{number}.{expert}"].append(by_a_slow_loop(weights, token)["act"])
    return {layer: torch.stack(each).double().numpy() for layer, each in values.items()}


@pytest.fixture(scope="module")
def stats(tokenizer) -> ActivationStats:
    options = {**SETTINGS, "quantiles": ("p25",), "keep_sample": True}
    return record(tiny_mixture("qwen2_moe"), tokenizer, TEXTS, hookpoints="mlp.act", **options)


def test_every_expert_is_recorded_over_its_own_tokens(stats, tokenizer):
    assert stats.model.layers == (
        *[f"0.{n}" for n in range(EXPERTS)], "0.shared", "1",
        *[f"2.{n}" for n in range(EXPERTS)], "2.shared",
    )  # fmt: skip
    for row, (language, texts) in enumerate(TEXTS.items()):
        ids = [tokenizer(text)["input_ids"][:32] for text in texts]
        loop = slow_loop(tiny_mixture("qwen2_moe"), ids)
        total = sum(map(len, ids))
        assert stats.tokens[language] == total == len(loop["1"]) == len(loop["0.shared"])
        for number, layer in enumerate(stats.model.layers):
            values = loop[layer]
            width = values.shape[1]
            assert stats.layer_tokens[row, number] == len(values)
            of = {at: stats.get("mlp.act", at)[row, number] for at in stats.names("mlp.act")}
            assert not any(array[width:].any() for array in of.values())
            near = (np.abs(values) < 2e-5).sum(0)
            assert (np.abs(of["positive"][:width] - (values > 0).sum(0)) <= near).all()
            for name, expected in {
                "mean": values.mean(0), "variance": values.var(0), "max": values.max(0),
                **{f"p{q}": np.quantile(values, q / 100, axis=0) for q in (10, 25, 90)},
                "median": np.median(values, axis=0),
            }.items():  # fmt: skip
                found = of[name][:width]
                np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4, err_msg=name)
            probability = stats.probability("mlp.act")[row, number, :width]
            np.testing.assert_allclose(probability, of["positive"][:width] / len(values))
        shares = stats.routing()[language]
        assert list(shares) == ROUTED
        assert shares == {layer: len(loop[layer]) / total for layer in ROUTED}
        assert sum(shares.values()) == pytest.approx(4), "two experts in each of two layers"


def test_files_shards_and_batches_give_the_same(stats, tokenizer, tmp_path):
    stats.save(tmp_path / "whole.safetensors")
    assert_same(ActivationStats.load(tmp_path / "whole.safetensors"), stats)
    options = {**SETTINGS, "hookpoints": "mlp.act", "quantiles": ("p25",), "keep_sample": True}
    model = tiny_mixture("qwen2_moe")
    shards = [record(model, tokenizer, TEXTS, shard=(n, 3), **options) for n in (1, 2, 3)]
    merged = ActivationStats.merged(shards)
    np.testing.assert_array_equal(merged.layer_tokens, stats.layer_tokens)
    for name in stats.names("mlp.act"):
        exact = {} if name in ("mean", "variance") else {"rtol": 0, "atol": 0}
        close = exact or {"rtol": 1e-5, "atol": 1e-6}
        np.testing.assert_allclose(merged.get("mlp.act", name), stats.get("mlp.act", name), **close)
    one = record(model, tokenizer, TEXTS, **{**options, "batch_size": 1})
    np.testing.assert_array_equal(one.layer_tokens, stats.layer_tokens)
    with pytest.raises(StatisticsError, match="one says how many tokens reached each expert"):
        ActivationStats.merged([shards[0], replace(shards[1], layer_tokens=None)])
    of_french = stats.keep(languages=["fr"])
    assert of_french.routing() == {"fr": stats.routing()["fr"]}
    assert ActivationStats.merged([of_french, stats.keep(languages=["de"])]).languages == (
        "fr",
        "de",
    )


def test_a_stopped_recording_goes_on_with_the_tokens_of_each_expert(stats, tokenizer, tmp_path):
    def stopping():
        yield from TEXTS["de"][:11]
        raise RuntimeError("stopped")

    model, out = tiny_mixture("qwen2_moe"), tmp_path / "s.safetensors"
    options = {**SETTINGS, "hookpoints": "mlp.act", "quantiles": ("p25",), "keep_sample": True}
    options |= {"out": out, "checkpoint_seconds": 0}
    with pytest.raises(RuntimeError, match="stopped"):
        record(model, tokenizer, {"de": stopping(), "fr": TEXTS["fr"]}, **options)
    generators = {language: iter(texts) for language, texts in TEXTS.items()}
    assert_same(record(model, tokenizer, generators, resume=True, **options), stats)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (lambda t: t[:, :-1], r"tokens of layers are int64 \[2, 14\]; int64 \[2, 15\]"),
        (lambda t: t.astype(np.int32), "int32"),
        (lambda t: t * 1000, "0 to the 496 that were counted"),
        (lambda t: t - 10**6, "between -"),
    ],
)
def test_tokens_of_layers_that_cannot_be_are_refused(stats, tokens, message):
    with pytest.raises(StatisticsError, match=message):
        replace(stats, layer_tokens=tokens(stats.layer_tokens))


def test_experts_that_few_tokens_reached_are_left_out_and_said(stats):
    least = int(np.sort(stats.layer_tokens.min(0))[4])
    few = {layer for each in rarely_reached(stats, least).values() for layer in each}
    assert 3 <= len(few) < len(ROUTED)
    for method in ("lape", "lap", "lave", "random"):
        options = {"top_rate": 0.3} if method != "lap" else {"min_probability": 0.4}
        mask = identify(stats, method, min_tokens=least, controls=0, **options)
        parameters = mask.method.parameters
        assert parameters["left_out"] == {"experts": len(few), "neurons": 24 * len(few)}
        assert parameters["min_tokens"] == least
        assert mask.model.layers == stats.model.layers
        used = {layer for who in mask.who for _, layer in mask.places(who)}
        assert not used & few
        assert len(used & set(ROUTED)) > 3
        every = identify(stats, method, min_tokens=1, controls=0, **options)
        assert "left_out" in every.method.parameters
        assert {layer for who in every.who for _, layer in every.places(who)} & few
        for who in every.who:
            for at, layer in every.places(who):
                assert every.indices(who, at, layer)[-1] < stats.model.width(at, layer)
    assert identify(stats, "random", min_tokens=1, top_rate=1.0, controls=0).count("de") == (
        (2 * EXPERTS * 24 + 2 * SHARED + 48) // 2
    )
    with pytest.raises(IdentificationError, match="at least 1, not 0"):
        identify(stats, min_tokens=0)
    alone = stats.of_layers(ROUTED)
    with pytest.raises(IdentificationError, match="no expert was reached by 9,999 tokens"):
        identify(alone, min_tokens=9999)


def test_lape_of_experts_is_lape_of_their_neurons_in_a_row(stats):
    """The same numbers without the places that are no neurons: one layer, equally wide."""
    keep = np.concatenate(
        [np.arange(w) + 48 * n for n, w in enumerate(stats.model.each_width("mlp.act"))]
    )
    tokens = stats.layer_tokens[..., None].astype(float)
    rates = (stats.get("mlp.act", "positive") / tokens).reshape(2, 1, -1)[:, :, keep]
    counts = np.rint(rates * 1e9).astype(np.int64)
    flat = ActivationStats.from_counts(counts, [10**9, 10**9], ["de", "fr"])
    options = {"top_rate": 0.1, "filter_rate": 0.5, "activation_bar_rate": 0.6, "controls": 0}
    mask, expected = identify(stats, min_tokens=1, **options), identify(flat, **options)
    assert expected.count("de") > 5
    starts = dict(
        zip(stats.model.layers, np.cumsum([0, *stats.model.each_width("mlp.act")]), strict=False)
    )
    for language in ("de", "fr"):
        found = [
            starts[layer] + mask.indices(language, at, layer) for at, layer in mask.places(language)
        ]
        np.testing.assert_array_equal(
            np.concatenate(found), expected.indices(language, "mlp.act", 0)
        )


def test_thresholds_and_their_masks_go_by_the_experts_tokens(tokenizer):
    model = tiny_mixture("mixtral")
    stats = record(model, tokenizer, TEXTS, hookpoints="mlp.act", **SETTINGS)
    stats = count_above_thresholds(stats, model, tokenizer, TEXTS)
    above, reached = stats.get("mlp.act", "above_threshold"), stats.layer_tokens[..., None]
    assert (above <= reached).all()
    assert 0.05 < (above.sum() / (reached * np.ones(24)).sum()) < 0.2
    mask = identify(stats, "act_prob_90p", top_rate=0.05, min_tokens=20, controls=2)
    assert mask.count("de") == round(
        0.05 * (18 - mask.method.parameters["left_out"]["experts"]) * 24
    )


def test_single_texts_of_experts_are_refused(tokenizer):
    with pytest.raises(RecordingError, match="see every token, and layers of this mixtral model"):
        record(tiny_mixture("mixtral"), tokenizer, TEXTS, per_text=True, pack=False)


def test_layers_of_other_widths_are_recorded_together(tokenizer):
    """The attention that some layers have, and an MLP that is narrower in one."""
    model = tiny_model("qwen3_5_text")
    layer = model.model.layers[1].mlp
    layer.gate_proj, layer.up_proj = (torch.nn.Linear(32, 20) for _ in range(2))
    layer.down_proj = torch.nn.Linear(20, 32)
    stats = record(model, tokenizer, TEXTS, hookpoints=("mlp.act", "attn.q"), **SETTINGS)
    assert stats.model.narrower == {"mlp.act": (48, 20), "attn.q": (0, 32)}
    assert stats.layer_tokens is None
    assert not stats.get("attn.q", "positive")[:, 0].any()
    assert stats.get("attn.q", "positive")[:, 1].any()
    mask = identify(stats, "random", hookpoint="attn.q", top_rate=1.0, controls=0)
    assert {layer for _, layer in mask.places("de")} == {"1"}
    assert mask.count("de") + mask.count("fr") == 32


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("de/mlp.act/layers", lambda of: of[::-1].copy(), "ascending numbers of the 15 layers"),
        ("de/mlp.act/layers", lambda of: of + 9, "ascending numbers of the 15 layers"),
        ("de/mlp.act/indices", lambda of: of[1:], "a layer, an index and values of each"),
        ("de/mlp.act/values/mean", lambda of: of[1:], "a layer, an index and values of each"),
        ("de/mlp.act/values/mean", lambda of: of + 1, "digest"),
        ("de/mlp.act/indices", lambda of: of + 48, "outside the width"),
    ],
)
def test_masks_of_experts_are_files_of_few_tensors(stats, tmp_path, key, change, message):
    path = tmp_path / "m.safetensors"
    mask = identify(stats, "random", min_tokens=1, top_rate=0.2, controls=3)
    mask.save(path)
    loaded = NeuronMask.load(path)
    assert loaded.digest == mask.digest
    assert {*loaded.who} == {*mask.who}
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert len(tensors) == 8 * (2 + len(mask.values_of["de"]["mlp.act", "1"]))
    assert json.loads(metadata["lsn_eval"])["format_version"] == 2
    save_file({**tensors, key: change(tensors[key])}, path, metadata)
    with pytest.raises(MaskError, match=message):
        NeuronMask.load(path)
