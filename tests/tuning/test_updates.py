"""What an adapter may change, against weights looked at element by element."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from builders.architectures import tiny_model
from builders.masks import mask_at, tiny_mask
from builders.mixtures import tiny_mixture

from lsn_eval.errors import TuningError
from lsn_eval.models.resolving import resolve
from lsn_eval.tuning.updates import Update, adapted, updates_of, whole_layers

peft = pytest.importorskip("peft", reason="peft is an optional dependency")
TOKENS = torch.randint(0, 256, (4, 12), generator=torch.Generator().manual_seed(1))
GATE_UP_DOWN = {"gate_proj": 0, "up_proj": 0, "down_proj": 1}
PLACES = {
    # By type and hookpoint: linear layers, and the axis of the weight that a neuron is along.
    ("llama", "mlp.act"): GATE_UP_DOWN,
    ("gemma3", "mlp.down_in"): GATE_UP_DOWN,
    ("bloom", "mlp.act"): {"dense_h_to_4h": 0, "dense_4h_to_h": 1},
    ("gpt2", "mlp.act"): {"mlp.c_fc": 1, "mlp.c_proj": 0},  # Conv1D is stored the other way round
    ("llama", "attn.q"): {"q_proj": 0},
    ("llama", "mlp.down"): {"down_proj": 0},
    ("gpt2", "attn.o"): {"attn.c_proj": 1},
}


def neurons_of(mask, who="de"):
    return {place: mask.indices(who, *place) for place in mask.places(who)}


def trained(model, updates, steps=4, rank=4):
    """After some steps of Adam with weight decay, momentum and clipping."""
    torch.manual_seed(0)
    tuned = adapted(model, updates, rank, 8, "CAUSAL_LM").train()
    moving = [value for value in tuned.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(moving, lr=0.05, weight_decay=0.3)
    for _ in range(steps):
        optimiser.zero_grad()
        tuned(input_ids=TOKENS, labels=TOKENS).loss.backward()
        torch.nn.utils.clip_grad_norm_(moving, 1.0)
        optimiser.step()
    return tuned.eval()


def changes(before, after):
    """By name the places [n, 2] where weights differ, of those that differ at all."""
    return {
        name: (before[name] != value).nonzero().numpy()
        for name, value in after.items()
        if not torch.equal(before[name], value)
    }


@pytest.mark.parametrize(("family", "hookpoint"), PLACES)
def test_outside_the_neurons_weights_are_bit_identical(family, hookpoint):
    model = tiny_model(family)
    before = copy.deepcopy(model.state_dict())
    mask = mask_at(model, [hookpoint])
    tuned = trained(model, updates_of(resolve(model), neurons_of(mask)))
    moved = changes(before, tuned.merge_and_unload().state_dict())
    axes = PLACES[family, hookpoint]
    assert len(moved) == 2 * len(axes)  # layers
    for name, places in moved.items():
        (axis,) = (axis for ending, axis in axes.items() if name.endswith(f"{ending}.weight"))
        layer = next(part for part in name.split(".") if part.isdigit())
        expected = mask.indices("de", hookpoint, layer)
        assert set(places[:, axis]) == set(expected.tolist())
        assert len(places) > 0.9 * expected.size * before[name].shape[1 - axis]


def test_of_a_fused_layer_the_rows_of_both_parts_are_tuned():
    model = tiny_model("phi3")
    before = copy.deepcopy(model.state_dict())
    mask = mask_at(model, ["mlp.act"])
    tuned = trained(model, updates_of(resolve(model), neurons_of(mask)))
    moved = changes(before, tuned.merge_and_unload().state_dict())
    width = resolve(model).width("mlp.act")
    (places,) = (of for name, of in moved.items() if "layers.1.mlp.gate_up_proj" in name)
    own = mask.indices("de", "mlp.act", "1")
    assert set(places[:, 0]) == {*own.tolist(), *(own + width).tolist()}


def test_the_adapter_is_an_ordinary_one(tmp_path):
    """Any peft loads it, and its factors are 0 where nothing may change."""
    model = tiny_model("llama")
    plain, mask = copy.deepcopy(model), mask_at(model, ["mlp.act"])
    updates = updates_of(resolve(model), neurons_of(mask))
    tuned = trained(model, updates)
    tuned.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(plain, tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(loaded(TOKENS).logits, tuned(TOKENS).logits)
    held = peft.get_peft_model_state_dict(loaded)
    for name, update in updates.items():
        inputs = held[f"base_model.model.{name}.lora_A.weight"]
        outputs = held[f"base_model.model.{name}.lora_B.weight"]
        moved = int(inputs.count_nonzero() + outputs.count_nonzero())
        assert moved == update.parameters(4) < inputs.numel() + outputs.numel()


def test_layers_and_whole_layers_are_chosen_by_hookpoint():
    found = resolve(tiny_model("llama"))
    neurons = neurons_of(tiny_mask(tiny_model("llama")))
    gates = updates_of(found, neurons, ["mlp.gate"])
    assert {name.split(".")[-1] for name in gates} == {"gate_proj"}
    whole = whole_layers(found, ["attn", "mlp.up"])
    names = {name.split(".")[-1] for name in whole}
    assert names == {"q_proj", "k_proj", "v_proj", "o_proj", "up_proj"}
    assert all(update.rows is update.columns is None for update in whole.values())
    assert Update((8, 5)).parameters(2) == 26
    assert Update((8, 5), rows=np.zeros(0, int)).parameters(2) == 0


def test_what_is_no_update_of_low_rank_is_refused():
    llama = tiny_model("llama")
    both = neurons_of(mask_at(llama, ["mlp.act", "mlp.down"]))
    with pytest.raises(TuningError, match="some rows and some columns"):
        updates_of(resolve(llama), both)
    with pytest.raises(TuningError, match="no neuron at attn.q"):
        updates_of(resolve(llama), neurons_of(tiny_mask(llama)), ["attn.q"])
    mixture = tiny_mixture("mixtral")
    with pytest.raises(TuningError, match="routed expert"):
        updates_of(resolve(mixture), neurons_of(mask_at(mixture, ["mlp.down_in"])))
