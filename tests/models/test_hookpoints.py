"""Every row of the table, held against values computed from the weights."""

from __future__ import annotations

import pytest
import torch
from builders.activations import ACTIVATIONS
from builders.models import HIDDEN, LAYERS, tiny_model
from torch import nn
from torch.nn import functional

from lsn_eval.errors import HookpointError
from lsn_eval.models.hookpoints import HOOKPOINTS, resolve, unwrap


def weight(linear: nn.Module) -> torch.Tensor:
    """Weight [output, input]; GPT-2's Conv1D stores it the other way round."""
    return linear.weight.T if type(linear).__name__ == "Conv1D" else linear.weight


def apply(linear: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The linear layer from its weights alone."""
    return functional.linear(x, weight(linear), getattr(linear, "bias", None))


def expected_values(family: str, layer: nn.Module, mlp_x: torch.Tensor, attn_x: torch.Tensor):
    """Every hookpoint of a layer, from the weights and the inputs of its MLP and attention."""
    act = ACTIVATIONS.get(family, functional.silu)
    gate: dict[str, torch.Tensor] = {}
    if family == "bloom":
        fused = layer.self_attention.query_key_value
        w, b = fused.weight.view(4, 3, -1, HIDDEN), fused.bias.view(4, 3, -1)
        parts = [
            functional.linear(attn_x, w[:, i].reshape(HIDDEN, -1), b[:, i].reshape(-1))
            for i in range(3)
        ]
        up, down = apply(layer.mlp.dense_h_to_4h, mlp_x), layer.mlp.dense_4h_to_h
        into = activation = act(up)
    elif family == "gpt2":
        parts = apply(layer.attn.c_attn, attn_x).split(HIDDEN, dim=-1)
        up, down = apply(layer.mlp.c_fc, mlp_x), layer.mlp.c_proj
        into = activation = act(up)
    else:
        attention = layer.self_attn
        parts = [apply(p, attn_x) for p in (attention.q_proj, attention.k_proj, attention.v_proj)]
        gate = {"mlp.gate": apply(layer.mlp.gate_proj, mlp_x)}
        up, down = apply(layer.mlp.up_proj, mlp_x), layer.mlp.down_proj
        activation = act(gate["mlp.gate"])
        into = activation * up
    return gate | {
        "mlp.act": activation,
        "mlp.down_in": into,
        "mlp.up": up,
        "mlp.down": apply(down, into),
        **dict(zip(("attn.q", "attn.k", "attn.v"), parts, strict=True)),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_values_at_the_hookpoints_equal_those_computed_from_the_weights(family, dtype):
    model = tiny_model(family, dtype)
    found = resolve(model)
    gated = family not in ("gpt2", "bloom")
    assert set(found.sites) == set(HOOKPOINTS) - (set() if gated else {"mlp.gate"})
    seen: dict[tuple[str, str], torch.Tensor] = {}
    inputs: dict[tuple[str, str], torch.Tensor] = {}

    for hookpoint, by_layer in found.sites.items():
        for layer, site in by_layer.items():

            def keep(value, site=site, key=(hookpoint, layer)):
                value = value if site.columns is None else value[..., site.columns]
                assert value.shape[-1] == site.width
                seen[key] = value.detach()

            if site.side == "output":
                site.module.register_forward_hook(lambda m, a, out, keep=keep: keep(out))
            else:
                site.module.register_forward_pre_hook(lambda m, args, keep=keep: keep(args[0]))
            if hookpoint in ("mlp.up", "attn.q", "attn.o"):
                site.module.register_forward_pre_hook(
                    lambda m, args, key=(hookpoint, layer): inputs.__setitem__(key, args[0])
                )
    tokens = torch.randint(0, 256, (3, 7), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        model(input_ids=tokens)
        for key, layer in found.layers.items():
            expected = expected_values(family, layer, inputs["mlp.up", key], inputs["attn.q", key])
            o = found.sites["attn.o"][key].module
            expected["attn.o"] = apply(o, inputs["attn.o", key])
            assert set(expected) == set(found.sites)
            tolerance = 1e-5 if dtype == torch.float32 else 2e-2
            for hookpoint, value in expected.items():
                assert value.std() > 1e-3, "a constant would agree with anything"
                torch.testing.assert_close(
                    seen[hookpoint, key], value, rtol=tolerance, atol=tolerance, msg=hookpoint
                )
    assert [len(by_layer) for by_layer in found.sites.values()] == [LAYERS] * len(found.sites)


def test_unknown_architecture_is_an_error_that_holds_the_row_to_add():
    from transformers import OPTConfig, OPTForCausalLM

    model = OPTForCausalLM(
        OPTConfig(
            hidden_size=16, ffn_dim=32, num_hidden_layers=2, num_attention_heads=2, vocab_size=50,
            word_embed_proj_dim=16,
        )
    )  # fmt: skip
    model.config.model_type = "opt-of-mine"
    with pytest.raises(HookpointError) as caught:
        resolve(model)
    for words in ('"opt-of-mine": Family(layers=("model.decoder.layers",)', "fc1", "llama"):
        assert words in str(caught.value)
    with pytest.raises(HookpointError, match=r"config\.model_type was expected, not Linear"):
        resolve(nn.Linear(2, 2))


def test_a_row_that_does_not_fit_the_loaded_model_is_an_error():
    model = tiny_model("llama")
    layer = model.model.layers[1]
    layer.mlp.up_proj = nn.Linear(HIDDEN, 40, bias=False)
    with pytest.raises(HookpointError, match="up_proj has 40 outputs but .* takes 48 inputs"):
        resolve(model)
    del layer.mlp.up_proj
    with pytest.raises(HookpointError, match=r"no module model\.layers\.1\.mlp\.up_proj"):
        resolve(model)
    model = tiny_model("llama")
    model.model.layers[1].mlp.act_fn = model.model.layers[0].mlp.act_fn
    with pytest.raises(HookpointError, match="layers 0 and 1 share the module"):
        resolve(model)


def test_unknown_hookpoint_and_layer_are_errors_that_list_what_there_is():
    found = resolve(tiny_model("gpt2"))
    with pytest.raises(HookpointError, match="'mlp.gate' does not exist in this gpt2 model; it h"):
        found.site("mlp.gate", "0")
    with pytest.raises(HookpointError, match="layer '7' does not exist .* 0 to 1"):
        found.site("mlp.act", "7")


def test_wrapped_models_are_looked_into():
    model = tiny_model("llama")
    assert unwrap(nn.DataParallel(model)) is model
    assert unwrap(torch.compile(model)) is model
    peft = pytest.importorskip("peft", reason="peft is an optional dependency")
    adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules=["down_proj", "q_proj"]))
    assert resolve(adapted).widths()["mlp.down_in"] == 48
