"""Interventions in experts, against edited weights and experts whose `forward` is written by hand."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from builders.masks import hooks_of, mask_at
from builders.mixtures import (
    EVERY_MIXTURE,
    IMPLEMENTATIONS,
    KINDS,
    MIXTURES,
    expert_weights,
    experts_of,
    tiny_mixture,
    tokens,
)
from torch import nn
from torch.nn import functional
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from lsn_eval import NeuronMask, intervene
from lsn_eval.errors import HookpointError, InterventionError
from lsn_eval.models.resolving import resolve

MLP = ("mlp.act", "mlp.down_in", "mlp.gate", "mlp.up", "mlp.down")
EDITS = {
    "de:zero": lambda old, stored: torch.zeros_like(old),
    "de:mean": lambda old, stored: stored.to(old.dtype).expand_as(old),
    "de:x0.5": lambda old, stored: old * 0.5,
    "de:+1.5": lambda old, stored: old + 1.5,
}


def outputs(model: Any, ids: torch.Tensor | None = None) -> torch.Tensor:
    with torch.no_grad():
        return model(tokens() if ids is None else ids).logits


def routed_mask(model: Any, hookpoints: list[str]) -> NeuronMask:
    """German neurons in every expert, shared ones and dense layers included."""
    return mask_at(model, [at for at in hookpoints if at in resolve(model).sites])


def with_edited_weights(model: Any, name: str, mask: NeuronMask) -> Any:
    """A copy whose neurons are gone: from the columns of the down projection, or the rows of what
    puts them out."""
    edited, found = copy.deepcopy(model), resolve(model)
    for at, layer in mask.places("de"):
        indices = torch.tensor(mask.indices("de", at, layer)).long()
        site, (number, _, expert) = found.site(at, layer), layer.partition(".")
        if site.expert is not None:
            of = expert_weights(experts_of(edited, name, number), int(expert))
        else:
            down = found.site("mlp.down", layer).module_name
            linear = site.module_name if site.side == "output" and at != "mlp.act" else down
            of = dict.fromkeys(("gate", "up", "down"), edited.get_submodule(linear).weight)
        with torch.no_grad():
            if at in ("mlp.act", "mlp.down_in"):
                of["down"][:, indices] = 0
            else:
                of[at.removeprefix("mlp.")][indices] = 0
                if (bias := of.get(f"{at.removeprefix('mlp.')}_bias")) is not None:
                    bias[indices] = 0
    return edited


@pytest.mark.parametrize("name", EVERY_MIXTURE)
def test_zero_equals_edited_weights_in_every_implementation(name):
    """Of every kind; of the other types in the usual one."""
    ways = [(torch.float32, "grouped_mm")]
    if name in KINDS:
        ways += [(torch.bfloat16, implementation) for implementation in IMPLEMENTATIONS]
    for dtype, implementation in ways:
        model = tiny_mixture(name, dtype, implementation)
        plain, hooks = outputs(model), hooks_of(model)
        for at in MLP:
            if at not in resolve(model).sites:
                continue
            mask = routed_mask(model, [at])
            with intervene(model, mask, "de:zero") as report:
                got = outputs(model)
            assert torch.equal(got, outputs(with_edited_weights(model, name, mask))), at
            assert not torch.equal(got, plain)
            routed = 14 * 2 * 5 * (3 - len(MIXTURES[name].dense))
            whole = 14 * 5 * sum(1 for site in report.sites if not site.routed)
            assert report.overwritten == routed + whole
        with intervene(model, mask, "none"):
            assert not ALL_EXPERTS_FUNCTIONS._local_mapping, "the model's own implementation runs"
            assert torch.equal(outputs(model), plain)
        assert torch.equal(outputs(model), plain)
        assert hooks_of(model) == hooks
        assert not ALL_EXPERTS_FUNCTIONS._local_mapping


@contextmanager
def by_hand(model: Any, name: str, mask: NeuronMask, edit: Any) -> Iterator[None]:
    """The model with every routed expert computed by a slow loop, neurons of the mask edited."""
    changed = {layer.partition(".")[0] for _, layer in mask.places("de")}

    def forward(layer: str, module: nn.Module, x: torch.Tensor, index: Any, weights: Any) -> Any:
        result = torch.zeros_like(x)
        for number in range(int(module.num_experts)):
            place, token = torch.where((index == number).T)
            if not len(token):
                continue

            def at(hookpoint, values, layer=f"{layer}.{number}"):
                if (hookpoint, layer) not in mask.places("de"):
                    return values
                indices = mask.indices("de", hookpoint, layer).copy()
                stored = torch.tensor(mask.values("de", hookpoint, layer, "mean"))
                values = values.clone()
                values[:, indices] = edit(values[:, indices], stored)
                return values

            def linear(of, values, number=number):
                weight = getattr(module, f"{of}_proj")[number]
                if not MIXTURES[name].own_gate:
                    return functional.linear(values, weight)
                return values @ weight + getattr(module, f"{of}_proj_bias")[number]

            both = linear("gate_up", x[token])
            if MIXTURES[name].own_gate:
                gate, up = at("mlp.gate", both[:, ::2]), at("mlp.up", both[:, 1::2])
                gate, up = gate.clamp(max=7), up.clamp(-7, 7) + 1
                inside = up * (gate * torch.sigmoid(gate * 1.702))
            else:
                gate, up = at("mlp.gate", both[:, :24]), at("mlp.up", both[:, 24:])
                inside = at("mlp.act", functional.silu(gate)) * up
            out = at("mlp.down", linear("down", at("mlp.down_in", inside)))
            result.index_add_(0, token, (out * weights[token, place, None]).to(result.dtype))
        return result

    patched = [(layer, experts_of(model, name, layer)) for layer in sorted(changed)]
    for layer, module in patched:
        module.forward = lambda *args, layer=layer, module=module: forward(layer, module, *args)
    try:
        yield
    finally:
        for _, module in patched:
            del module.forward


def experts_mask(model: Any, at: str) -> NeuronMask:
    """Five German neurons with means in every routed expert."""
    found, generator = resolve(model), np.random.RandomState(0)
    layers = [layer for layer, site in found.sites[at].items() if site.expert is not None]
    neurons = {
        layer: np.sort(generator.permutation(found.width(at, layer))[:5]) for layer in layers
    }
    means = {layer: {"mean": generator.normal(size=5)} for layer in layers}
    mask = NeuronMask({"de": {at: neurons}}, model=found.layout([at]))
    return mask.with_values({"de": {at: means}})


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, torch.float32) for name in MIXTURES),
        *((name, torch.bfloat16) for name in sorted(KINDS)),
    ],
)
@pytest.mark.slow
def test_every_write_equals_experts_written_by_hand(name, dtype):
    model = tiny_mixture(name, dtype, "eager")
    plain = outputs(model)
    for at in (at for at in MLP if at in resolve(model).sites):
        mask = experts_mask(model, at)
        for condition in EDITS if name in KINDS else ["de:mean"]:
            with intervene(model, mask, condition):
                got = outputs(model)
            with by_hand(model, name, mask, EDITS[condition]):
                expected = outputs(model)
            # An activation of a view and one of a copy differ in their last bits in float32.
            close = 1e-5 if dtype == torch.float32 else 0
            torch.testing.assert_close(got, expected, rtol=close, atol=close)
            assert not torch.equal(got, plain)


@pytest.mark.parametrize("name", EVERY_MIXTURE)
def test_generation_is_the_same_without_cache_padded_and_in_batches(name):
    model = tiny_mixture(name)
    model.generation_config.eos_token_id = None
    prompts = [row[: 3 + number % 5].tolist() for number, row in enumerate(tokens(8))]

    def answers(rows: list[list[int]], **options: Any) -> list[list[int]]:
        most = max(map(len, rows))
        ids = torch.tensor([[256] * (most - len(row)) + row for row in rows])
        real = torch.tensor([[0] * (most - len(row)) + [1] * len(row) for row in rows])
        options |= {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 256}
        return model.generate(ids, attention_mask=real, **options)[:, -4:].tolist()

    plain = answers(prompts)
    with intervene(model, routed_mask(model, ["mlp.down_in", "attn.o"]), "de:+2"):
        together = answers(prompts)
        if name != "minimax":  # its linear attention keeps what padding left, with any weights
            assert answers(prompts, use_cache=False) == together
        for number in (0, 4):  # the shortest and the longest
            if name not in ("minimax", "jamba") or number == 4:
                assert answers([prompts[number]])[0] == together[number]
    assert together != plain
    assert answers(prompts) == plain


def test_an_expert_that_no_token_reached_is_said_and_no_error(caplog):
    model = tiny_mixture("qwen3_moe")
    mask = experts_mask(model, "mlp.act")
    with intervene(model, mask, "de:zero") as report:
        outputs(model, tokens(1, 2))
    unrouted = {site.layer for site in report.unrouted_sites}
    reached = {site.layer for site in report.sites if site.calls == 1}
    assert unrouted
    assert unrouted | reached == {layer for _, layer in mask.places("de")}
    assert not unrouted & reached
    assert report.to_json()["unrouted"] == [
        f"mlp.act/{site.layer}" for site in report.unrouted_sites
    ]
    assert "no token came there" in caplog.text
    with pytest.raises(InterventionError, match="never fired"), intervene(model, mask, "de:zero"):
        pass


def test_a_write_that_does_not_arrive_is_an_error(monkeypatch):
    """The gate does not use the activation, the layer goes round the functions, or a block raises."""
    model = tiny_mixture("qwen3_moe")
    plain, mask = outputs(model), experts_mask(model, "mlp.act")
    experts = experts_of(model, "qwen3_moe", "2")
    with monkeypatch.context() as patch:
        gate = lambda self, both: self.act_fn(both[:, :24]).mul(0) + both[:, 24:]  # noqa: E731
        active = intervene(model, mask, "de:+1")
        with pytest.raises(InterventionError, match="does not arrive at"), active:
            patch.setattr(type(experts), "_apply_gate", gate)
            outputs(model)
    usual = type(experts).forward.__wrapped__
    with monkeypatch.context() as patch:
        patch.setattr(experts, "forward", lambda *args: usual(experts, *args), raising=False)
        with pytest.raises(HookpointError, match="ran 0 times"), intervene(model, mask, "de:+1"):
            outputs(model)
    with pytest.raises(KeyError), intervene(model, mask, "de:+1"):
        outputs(model)
        raise KeyError
    assert not ALL_EXPERTS_FUNCTIONS._local_mapping
    assert torch.equal(outputs(model), plain)


def test_interventions_inside_each_other_write_what_one_of_both_does():
    model = tiny_mixture("mixtral")
    first, second = experts_mask(model, "mlp.act"), experts_mask(model, "mlp.up")
    with intervene(model, first.union(second), "de:+1"):
        at_once = outputs(model)
    with intervene(model, second, "de:+1"):
        assert not torch.equal(outputs(model), at_once)
        with intervene(model, first, "de:+1"):
            assert torch.equal(outputs(model), at_once)
    assert not ALL_EXPERTS_FUNCTIONS._local_mapping
