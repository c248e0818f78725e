"""Masks of tiny models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from torch import nn

from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.layout import ModelLayout
from lsn_eval.models.resolving import resolve


def tiny_mask(
    model: nn.Module, hookpoint: str = "mlp.act", seed: int = 0, controls: int = 2
) -> NeuronMask:
    """Three languages: `de` and `fr` share neurons, `vi` has neurons in the last layer alone."""
    found = resolve(model)
    width = found.width(hookpoint)
    generator = np.random.RandomState(seed)

    def pick(count: int) -> np.ndarray:
        return np.sort(generator.permutation(width)[:count])

    de = {layer: pick(5) for layer in found.layer_names}
    fr = {layer: np.union1d(indices[:2], pick(3)) for layer, indices in de.items()}
    vi = {found.layer_names[-1]: pick(2)}
    neurons = {"de": {hookpoint: de}, "fr": {hookpoint: fr}, "vi": {hookpoint: vi}}
    mask = NeuronMask(
        neurons,
        model=ModelLayout(found.layer_names, {hookpoint: width}, type=found.model_type),
    ).with_controls(controls)
    values = {
        who: {
            hookpoint: {
                layer: {
                    statistic: generator.normal(size=mask.indices(who, at, layer).size)
                    for statistic in ("mean", "p90")
                }
                for at, layer in mask.places(who)
            }
        }
        for who in mask.who
    }
    return mask.with_values(values)


def mask_at(model: nn.Module, hookpoints: Iterable[str], stack: str = "") -> NeuronMask:
    """German neurons with means, at hookpoints of the layers whose names begin with `stack`."""
    found, generator = resolve(model), np.random.RandomState(0)
    at = [hookpoint for hookpoint in hookpoints if hookpoint in found.sites]
    places = {h: [layer for layer in found.sites[h] if layer.startswith(stack)] for h in at}
    neurons = {
        h: {layer: np.sort(generator.permutation(found.width(h, layer))[:5]) for layer in layers}
        for h, layers in places.items()
    }
    means = {
        h: {layer: {"mean": generator.normal(size=5)} for layer in layers}
        for h, layers in places.items()
    }
    return NeuronMask({"de": neurons}, model=found.layout(at)).with_values({"de": means})


def first_neurons(model: nn.Module, counts: Mapping[str, int]) -> NeuronMask:
    """German ones at `mlp.act`: the first so many of each layer."""
    found = resolve(model)
    neurons = {layer: np.arange(count) for layer, count in counts.items()}
    layout = ModelLayout(
        found.layer_names, {"mlp.act": found.width("mlp.act")}, type=found.model_type
    )
    return NeuronMask({"de": {"mlp.act": neurons}}, model=layout)


def hooks_of(model: nn.Module) -> int:
    """How many hooks are on a model, and how many modules have a `forward` of their own."""
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) + ("forward" in vars(module))
        for module in model.modules()
    )
