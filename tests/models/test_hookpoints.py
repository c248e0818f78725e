"""What a model has, and what is said of a model that its row does not fit."""

from __future__ import annotations

import pytest
import torch
import transformers
from builders.any_type import any_model
from builders.architectures import HIDDEN, tiny_config, tiny_model
from torch import nn

from lsn_eval.errors import HookpointError
from lsn_eval.models.families import REFUSED, Part
from lsn_eval.models.resolving import resolve, unwrap


def test_unknown_architecture_is_an_error_that_holds_the_row_to_fill_in():
    model = any_model("rwkv")
    with pytest.raises(HookpointError) as caught:
        resolve(model)
    said = str(caught.value)
    assert "'rwkv' has no row, and what its tensors do gives none: in none of its layers" in said
    assert '"rwkv": (Stack(layers=("rwkv.blocks",), act=...' in said
    assert "feed_forward.receptance" in said


def test_what_is_no_model_is_an_error():
    with pytest.raises(HookpointError, match=r"config\.model_type was expected, not Linear"):
        resolve(nn.Linear(2, 2))


@pytest.mark.parametrize("model_type", REFUSED)
def test_a_type_that_is_refused_says_why(model_type):
    model = tiny_model("llama")
    model.config.model_type = model_type
    with pytest.raises(HookpointError, match=f"'{model_type}' is not supported: its? .*; suppor"):
        resolve(model)


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


@pytest.mark.parametrize(
    ("part", "width", "attended"),
    [
        (Part("qkv", 1), 65, 32),
        (Part("qkv", 1), 32, 32),
        (Part("qkv", 1, layout="head"), 60, 32),
        (Part("up", 0, of=2), 65, 32),
    ],
)
def test_a_fused_layer_that_does_not_split_as_its_row_says_is_an_error(part, width, attended):
    with pytest.raises(HookpointError, match=f"has {width} outputs, which do not split into"):
        part.columns(width, attended, heads=4)


def test_unknown_hookpoint_and_layer_are_errors_that_list_what_there_is():
    found = resolve(tiny_model("gpt2"))
    with pytest.raises(HookpointError, match="'mlp.gate' does not exist in this gpt2 model; it h"):
        found.site("mlp.gate", "0")
    with pytest.raises(HookpointError, match="layer '7' does not exist .* 0 to 1"):
        found.site("mlp.act", "7")


def test_hookpoints_that_some_layers_have_and_widths_that_differ():
    found = resolve(tiny_model("bart"))
    assert found.layer_names == ("encoder.0", "encoder.1", "decoder.0", "decoder.1")
    assert found.layers_with(["cross.q", "cross.v"]) == ("decoder.0", "decoder.1")
    with pytest.raises(HookpointError, match="encoder.1 .* no cross.q; it is in layers decoder.0,"):
        found.site("cross.q", "encoder.1")
    model = tiny_model("bart")
    for layer in model.model.decoder.layers:
        layer.fc1, layer.fc2 = nn.Linear(HIDDEN, 24), nn.Linear(24, HIDDEN)
    found = resolve(model)
    assert found.site("mlp.act", "decoder.1").width == 24
    assert found.width("attn.q") == HIDDEN
    assert found.width("mlp.act") == 48
    layout = found.layout(["mlp.act", "cross.q"])
    assert layout.layers == found.layer_names
    assert layout.narrower == {"mlp.act": (48, 48, 24, 24), "cross.q": (0, 0, HIDDEN, HIDDEN)}
    assert layout.widths == {"mlp.act": 48, "cross.q": HIDDEN}


def test_a_stack_alone_has_plain_numbers():
    encoder = transformers.T5EncoderModel(tiny_config("t5:gated"))
    decoder = transformers.BartForCausalLM(tiny_config("bart"))
    for model, path in ((encoder, "encoder.block.1."), (decoder, "model.decoder.layers.1.")):
        found = resolve(model)
        assert found.layer_names == ("0", "1")
        assert found.site("mlp.act", "1").module_name.startswith(path)


@pytest.mark.slow
def test_wrapped_models_are_looked_into():
    model = tiny_model("llama")
    assert unwrap(nn.DataParallel(model)) is model
    assert unwrap(torch.compile(model)) is model
    peft = pytest.importorskip("peft", reason="peft is an optional dependency")
    adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules=["down_proj", "q_proj"]))
    assert resolve(adapted).width("mlp.down_in") == 48
