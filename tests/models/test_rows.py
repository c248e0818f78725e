"""Every row of the table: each hookpoint is what it says, by weights and by what it influences."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from builders.architectures import ARCHITECTURES, EVERY, HEADS, HIDDEN, inputs, tiny_model
from builders.mixtures import MIXTURES
from torch import nn
from torch.nn import functional

from lsn_eval.models.families import FAMILIES, REFUSED
from lsn_eval.models.hookpoints import ModelHookpoints, Site
from lsn_eval.models.resolving import resolve

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
QUERIES_KEYS_NORMED_OVER_HEADS = {"olmo2", "olmo3", "olmo_hybrid"}
VALUES_NORMED = {"gemma3n_text"}


def test_every_row_is_tested_and_none_is_refused():
    assert {name.partition(":")[0] for name in ARCHITECTURES} | {*MIXTURES} == set(FAMILIES)
    assert not set(FAMILIES) & set(REFUSED)
    assert list(FAMILIES) == sorted(FAMILIES)
    assert list(REFUSED) == sorted(REFUSED)


def seen_values(model: nn.Module, given: dict[str, torch.Tensor]) -> tuple[dict, dict, Any]:
    """First input and output of every module by its name, copied as they come; and the output."""
    taken: dict[str, torch.Tensor] = {}
    put_out: dict[str, torch.Tensor] = {}
    with ExitStack() as stack, torch.no_grad():
        for name, module in model.named_modules():

            def keep(module, args, output, name=name):
                if isinstance(output, torch.Tensor) and args and isinstance(args[0], torch.Tensor):
                    taken[name], put_out[name] = args[0].clone(), output.clone()

            stack.callback(module.register_forward_hook(keep).remove)
        return taken, put_out, model(**given)


def linear(module: nn.Module, x: torch.Tensor, columns: Any) -> torch.Tensor:
    """The outputs `columns` of a linear layer, from its weights alone."""
    weight = module.weight.T if type(module).__name__ == "Conv1D" else module.weight
    bias = None if getattr(module, "bias", None) is None else module.bias[columns]
    return functional.linear(x, weight[columns], bias)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", EVERY)
def test_values_equal_those_computed_from_the_weights(name, dtype):
    model, facts = tiny_model(name, dtype), ARCHITECTURES[name]
    found = resolve(model)
    taken, put_out, result = seen_values(model, inputs(name))
    columns = {
        **dict(zip(("attn.q", "attn.k", "attn.v"), facts.qkv, strict=True)),
        **dict(zip(("mlp.gate", "mlp.up"), facts.gate_up, strict=True)),
    }

    def value(site: Site) -> torch.Tensor:
        whole = (put_out if site.side == "output" else taken)[site.module_name]
        part = whole if site.columns is None else whole[..., torch.as_tensor(site.columns)]
        assert part.shape[-1] == site.width
        return part

    for name_of_layer, layer in found.layers.items():
        sites = {
            at: found.site(at, name_of_layer) for at in found.sites if found.has(at, name_of_layer)
        }
        cross = {f"cross.{of}" for of in "qkvo"} if name_of_layer.startswith("decoder") else set()
        gate = {"mlp.gate"} if facts.gated else set()
        attention = {f"attn.{of}" for of in "qkvo" if name_of_layer not in facts.without_attention}
        mlp = {"mlp.act", "mlp.down_in", "mlp.up", "mlp.down"}
        assert set(sites) == mlp | gate | attention | cross
        expected = {
            at: linear(site.module, taken[site.module_name], columns.get(at, slice(None)))
            for at, site in sites.items()
            if at not in ("mlp.act", "mlp.down_in")
        }
        up = value(sites["mlp.up"])
        expected["mlp.act"] = facts.act(value(sites["mlp.gate"]) if facts.gated else up, layer)
        act = value(sites["mlp.act"])
        expected["mlp.down_in"] = act * up if facts.gated else act
        for at, computed in expected.items():
            assert computed.std() > 1e-3, "a constant would agree with anything"
            torch.testing.assert_close(
                value(sites[at]), computed, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype], msg=at
            )
        same = [("attn.q", "attn.k"), ("attn.q", "attn.v"), ("mlp.up", "mlp.gate")]
        for first, second in (pair for pair in same if {*pair} <= {*sites}):
            assert torch.equal(taken[sites[first].module_name], taken[sites[second].module_name]), (
                f"{first} and {second} are not of one input"
            )
        for at in cross & {"cross.k", "cross.v"}:
            assert torch.equal(taken[sites[at].module_name], result.encoder_last_hidden_state)


def attended(
    model: nn.Module, name: str, found: ModelHookpoints, kind: str, layer: str
) -> Callable[..., torch.Tensor]:
    """What the output projection [row, position, head, 8] takes, if `edit(values)` is done at a
    site of its attention."""
    projection = found.site(f"{kind}.o", layer)

    def run(of: str = "q", edit: Callable[[torch.Tensor], None] | None = None) -> torch.Tensor:
        site, kept = found.site(f"{kind}.{of}", layer), []

        def change(module, args, output):
            columns = slice(None) if site.columns is None else torch.as_tensor(site.columns)
            output = output.clone()
            values = output[..., columns].view(*output.shape[:2], -1, HIDDEN // HEADS)
            if edit is not None:
                edit(values)
            output[..., columns] = values.flatten(2)
            return output

        with ExitStack() as stack, torch.no_grad():
            stack.callback(site.module.register_forward_hook(change).remove)
            keep = projection.module.register_forward_pre_hook(lambda m, args: kept.append(args[0]))
            stack.callback(keep.remove)
            model(**inputs(name))
        return kept[0].reshape(2, -1, HEADS, HIDDEN // HEADS)

    return run


@pytest.mark.parametrize("name", EVERY)
def test_query_key_and_value_are_what_they_say(name):
    """By what the output projection is given: a query moves its own position and head, a value is
    passed on linearly, a key does neither."""
    model = tiny_model(name, attention="eager")
    found = resolve(model)
    for kind in ("attn", "cross"):
        for layer in found.sites.get(f"{kind}.q", ()):
            run = attended(model, name, found, kind, layer)
            plain = run()
            moved = lambda values, plain=plain: (values - plain).abs().amax((0, 3)) > 1e-6  # noqa: E731

            def add(*place):
                return lambda values: values[place].add_(torch.linspace(1, 2, values.shape[-1]))

            every = slice(None)
            at_last = moved(run("q", add(every, -1)))
            assert at_last[-1].all()
            assert not at_last[:-1].any(), "a query moves its own position alone"
            assert moved(run("k", add(every, 0)))[1:].any(1).all(), "a key moves every query"
            assert torch.equal(run("v", lambda values: values.mul_(2)), plain * 2) == (
                name not in VALUES_NORMED
            )
            assert not torch.allclose(run("k", lambda values: values.mul_(2)), plain * 2)
            for of in "qkv":
                if of != "v" and name in QUERIES_KEYS_NORMED_OVER_HEADS:
                    continue
                heads = found.site(f"{kind}.{of}", layer).width // (HIDDEN // HEADS)
                served = torch.arange(HEADS) // (HEADS // heads) == heads - 1
                place = every, every if of == "q" else 0, heads - 1
                assert torch.equal(moved(run(of, add(*place)))[1:].any(0), served), of
