"""Every mixture of experts: each hookpoint of each expert is what it says, by weights and router."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import torch
from builders.mixtures import (
    DENSE,
    EVERY_MIXTURE,
    EXPERTS,
    HIDDEN,
    IMPLEMENTATIONS,
    MIXTURES,
    WIDTH,
    by_a_slow_loop,
    expert_weights,
    experts_of,
    tiny_mixture,
    tokens,
)
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from lsn_eval.errors import HookpointError
from lsn_eval.models.resolving import resolve

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 3e-2}
MLP = {"mlp.act", "mlp.down_in", "mlp.gate", "mlp.up", "mlp.down"}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", EVERY_MIXTURE)
@torch.no_grad()
@pytest.mark.slow
def test_values_equal_those_computed_from_the_weights_and_the_routers_choices(name, dtype):
    facts = MIXTURES[name]
    own = MLP - {"mlp.act"} if facts.own_gate else MLP
    for implementation in IMPLEMENTATIONS:
        model = tiny_mixture(name, dtype, implementation)
        found = resolve(model)
        for number in map(str, range(3)):
            attention = {f"attn.{of}" for of in facts.attention.get(number, "qkvo")}
            dense = MLP if number in facts.dense else set()
            assert {at for at in found.sites if found.has(at, number)} == dense | attention
            if dense and facts.config.get("moe_intermediate_size"):
                assert found.width("mlp.down_in", number) == DENSE
            shared = f"{number}.shared"
            assert found.has("mlp.down_in", shared) == bool(facts.shared and not dense)
            assert found.width("mlp.down_in", shared) == (0 if dense else facts.shared)
        mixed = [str(n) for n in range(3) if str(n) not in facts.dense]
        routed = [f"{layer}.{number}" for layer in mixed for number in range(EXPERTS)]
        assert {at: found.width(at, routed[0]) for at in own} == {
            at: HIDDEN if at == "mlp.down" else WIDTH for at in own
        }
        seen, chosen = {}, {}
        with ExitStack() as stack:
            for place in ((at, layer) for layer in routed for at in found.sites):
                if not found.has(*place):
                    continue

                def keep(module, args, output, place=place, found=found, seen=seen):
                    site = found.site(*place)
                    columns = slice(None) if site.columns is None else torch.as_tensor(site.columns)
                    seen[place] = site.expert.tokens.clone(), output[..., columns].clone()

                module = found.site(*place).module
                stack.callback(module.register_forward_hook(keep).remove)
            for layer in mixed:
                experts = experts_of(model, name, layer)
                keep = lambda m, args, to=(chosen, layer): to[0].update({to[1]: args})  # noqa: E731
                stack.callback(experts.register_forward_pre_hook(keep).remove)
            got = model(tokens()).logits
        assert torch.equal(got, model(tokens()).logits), "reading changes nothing"
        reached = set()
        for layer in mixed:
            hidden, index, _ = chosen[layer]
            assert index.shape == (14, 2)
            for number in set(index.flatten().tolist()):
                expert = f"{layer}.{number}"
                reached.add(expert)
                weights = expert_weights(experts_of(model, name, layer), number)
                assert {at for at, of in seen if of == expert} == own
                its_own = (index == number).any(1).nonzero().flatten().tolist()
                loops = {n: by_a_slow_loop(weights, hidden[n], facts.own_gate) for n in its_own}
                for at in own:
                    of, values = seen[at, expert]
                    assert sorted(of.tolist()) == its_own
                    expected = torch.stack([loops[n][at.removeprefix("mlp.")] for n in of.tolist()])
                    assert (expected.std(1) > 1e-3).all(), "a constant would agree with anything"
                    torch.testing.assert_close(
                        values, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype], msg=at
                    )
        assert {layer for _, layer in seen} == reached
        assert not ALL_EXPERTS_FUNCTIONS._local_mapping


def test_what_goes_round_the_functions_is_refused():
    model = tiny_mixture("qwen3_moe")
    site = resolve(model).site("mlp.act", "0.0")
    experts = experts_of(model, "qwen3_moe", "0")
    usual = type(experts).forward.__wrapped__
    handle = site.module.register_forward_hook(lambda module, args, output: None)
    experts.forward = lambda *args: usual(experts, *args)  # as a kernel from the Hub would be
    with torch.no_grad(), pytest.raises(HookpointError, match="mlp.experts ran 0 times .* eager"):
        model(tokens())
    del experts.forward
    experts._is_expert_parallel = True
    with torch.no_grad(), pytest.raises(HookpointError, match="expert parallelism"):
        model(tokens())
    experts._is_expert_parallel = False
    handle.remove()
    handle.remove()
    assert not ALL_EXPERTS_FUNCTIONS._local_mapping


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: setattr(e, "has_gate", False), "without the experts interface"),
        (lambda e: e.__dict__.pop("is_transposed"), r"interface of transformers \(is_transposed\)"),
        (lambda e: e.to(torch.float8_e4m3fn), "float8_e4m3fn, which no experts function"),
        (lambda e: setattr(e, "is_transposed", True), "32 outputs of gate and up for 32 inputs"),
    ],
)
def test_other_modules_of_experts_are_refused(change, message):
    model = tiny_mixture("qwen3_moe")
    change(experts_of(model, "qwen3_moe", "2"))
    with pytest.raises(HookpointError, match=message):
        resolve(model)


def test_transformers_without_experts_functions_is_refused(monkeypatch):
    model = tiny_mixture("qwen3_moe")
    monkeypatch.setitem(__import__("sys").modules, "transformers.integrations.moe", None)
    with pytest.raises(HookpointError, match="no experts functions to register"):
        resolve(model)


def test_what_was_registered_under_a_name_comes_back(monkeypatch):
    mine = lambda module, x, index, weights: torch.zeros_like(x)  # noqa: E731
    monkeypatch.setitem(ALL_EXPERTS_FUNCTIONS._local_mapping, "eager", mine)
    site = resolve(tiny_mixture("qwen3_moe")).site("mlp.act", "0.0")
    handles = [site.module.register_forward_hook(print) for _ in range(2)]
    handles.append(site.module.register_forward_pre_hook(print))
    for handle in handles:
        assert ALL_EXPERTS_FUNCTIONS["eager"] is not mine
        handle.remove()
    assert ALL_EXPERTS_FUNCTIONS._local_mapping == {"eager": mine}
