"""PLND's effects against a plain loop that switches neurons off one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders.architectures import tiny_model

from lsn_eval import identify, record
from lsn_eval.identification import IdentificationError
from lsn_eval.models.resolving import resolve

NAMES = ("de", "fr", "vi")


def token_ids(seed):
    """Texts of languages that differ: each has vocabulary of its own."""
    generator = np.random.RandomState(seed)
    return {name: generator.randint(80 * n, 80 * n + 80, size=64) for n, name in enumerate(NAMES)}


def slow_effects(model, ids):
    """RMS over tokens of the L2 norm of what each MLP puts out less what it does with one of its
    neurons at 0, [layer, neuron]; by running the down projection again for every neuron."""
    found = resolve(model)
    effects = np.zeros((len(found.layers), found.width("mlp.down_in")))
    inputs = {}
    handles = [
        found.site("mlp.down_in", layer).module.register_forward_pre_hook(
            lambda module, args, layer=layer: inputs.setdefault(layer, []).append(args[0].detach())
        )
        for layer in found.layer_names
    ]
    with torch.no_grad():
        for row in ids.reshape(-1, 16):
            model(torch.tensor(row[None]))
    for handle in handles:
        handle.remove()
    for number, layer in enumerate(found.layer_names):
        down = found.site("mlp.down_in", layer).module
        values = torch.cat([x.reshape(-1, x.shape[-1]) for x in inputs[layer]])
        with torch.no_grad():
            whole = down(values)
            for neuron in range(values.shape[1]):
                off = values.clone()
                off[:, neuron] = 0
                change = (whole - down(off)).norm(dim=1).double()
                effects[number, neuron] = change.square().mean().sqrt()
    return effects


@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom"])
def test_effects_and_classes_equal_a_loop_that_switches_neurons_off(family, tmp_path):
    model = tiny_model(family)
    texts = token_ids(0)
    stats = record(model, None, texts, hookpoints=("mlp.down_in",), length=16, batch_size=4)
    effects = {name: slow_effects(model, ids) for name, ids in texts.items()}
    count = round(0.2 * effects["de"].size)
    strongest = {
        name: set(np.argsort(-effect, axis=None)[:count].tolist())
        for name, effect in effects.items()
    }
    model.save_pretrained(tmp_path)
    width = effects["de"].shape[1]
    for weights in (model, tmp_path):
        mask = identify(stats, "plnd", weights=weights, top_rate=0.2, controls=0)
        assert mask.hookpoints == ("mlp.down_in",)
        for name in NAMES:
            others = set().union(*(strongest[other] for other in NAMES if other != name))
            expected = sorted(strongest[name] - others)
            assert [layer * width + n for layer, n in mask.neurons(name).tolist()] == expected
        assert any(mask.count(name) for name in NAMES)


def test_what_plnd_cannot_be_made_of_is_refused():
    model = tiny_model("llama")
    act = record(model, None, token_ids(1), length=16, batch_size=4)
    with pytest.raises(IdentificationError, match="'mlp.down_in' is not in these statistics"):
        identify(act, "plnd", weights=model)
    stats = record(model, None, token_ids(1), hookpoints=("mlp.down_in",), length=16, batch_size=4)
    with pytest.raises(IdentificationError, match="a bloom model of 2 layers, and the statistics"):
        identify(stats, "plnd", weights=tiny_model("bloom"))
    with pytest.raises(IdentificationError, match="plnd needs weights"):
        identify(stats, "plnd")
