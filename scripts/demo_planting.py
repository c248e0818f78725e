"""Planting: a loss and a dropout that make a chosen set of neurons serve one language alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

Planted = dict[str, list[list[int]]]
"""Language to one sorted list of neuron indices per layer."""


@dataclass(frozen=True)
class PlantingConfig:
    """How strongly neurons are planted. Weights multiply means over tokens and neurons."""

    per_layer: int = 12
    """Planted neurons per language and layer."""
    margin: float = 0.3
    """Gate pre-activations: above this on the own language, below its negative on others."""
    own_weight: float = 1.0
    """Weight of the hinge that switches planted neurons on in their own language."""
    other_weight: float = 1.0
    """Weight of the hinge that switches planted neurons off in other languages."""
    sparsity_weight: float = 0.1
    """Weight of the hinge that keeps ordinary neurons below ``-margin``."""
    ordinary_dropout: float = 0.1
    """Chance that an ordinary neuron is zeroed for a whole row."""
    foreign_dropout: float = 0.5
    """Chance that all planted neurons of another language are zeroed for a whole row."""


def draw_planted(
    languages: tuple[str, ...], layers: int, width: int, per_layer: int, seed: int
) -> Planted:
    """Disjoint random positions for every language, layer by layer.

    Raises:
        ValueError: more neurons asked than a layer has.
    """
    if len(languages) * per_layer > width:
        raise ValueError(
            f"{len(languages)} languages x {per_layer} neurons do not fit a width of {width}: "
            "plant fewer"
        )
    planted: Planted = {language: [] for language in languages}
    for layer in range(layers):
        drawn = Random(f"planted/{seed}/{layer}").sample(range(width), len(languages) * per_layer)
        for rank, language in enumerate(languages):
            planted[language].append(sorted(drawn[rank * per_layer : (rank + 1) * per_layer]))
    return planted


def planted_mask(planted: Planted, layers: int, width: int) -> Tensor:
    """Booleans, ``[language, layer, neuron]``, in the order of ``planted``."""
    mask = torch.zeros(len(planted), layers, width, dtype=torch.bool)
    for rank, per_layer in enumerate(planted.values()):
        for layer, neurons in enumerate(per_layer):
            mask[rank, layer, neurons] = True
    return mask


def planting_loss(
    gates: list[Tensor], languages: Tensor, counted: Tensor, mask: Tensor, config: PlantingConfig
) -> Tensor:
    """The weighted sum of the three hinges, averaged over layers.

    Args:
        gates: a layer each, gate pre-activations ``[row, position, neuron]``.
        languages: index of each row's language, ``[row]``.
        counted: which tokens count, ``[row, position]``; end-of-text tokens have no language
            and do not.
        mask: ``[language, layer, neuron]``, from ``planted_mask``.
        config: margin and weights.
    """
    tokens = counted.sum().clamp(min=1)
    total = gates[0].new_zeros(())
    for layer, gate in enumerate(gates):
        own = mask[languages, layer]
        ordinary = ~mask[:, layer].any(0)
        other = ~(own | ordinary)
        weight = counted[:, :, None].to(gate.dtype)
        # One neuron's mean is over tokens, so that the weights do not depend on the batch.
        low = (torch.relu(config.margin - gate) * weight).sum(1)
        high = (torch.relu(gate + config.margin) * weight).sum(1)
        total = total + config.own_weight * (low * own).sum() / (tokens * own[0].sum())
        total = total + config.other_weight * (high * other).sum() / (tokens * other[0].sum())
        total = total + config.sparsity_weight * high[:, ordinary].sum() / (tokens * ordinary.sum())
    return total / len(gates)


def draw_keep(
    languages: Tensor, mask: Tensor, config: PlantingConfig, generator: torch.Generator
) -> Tensor:
    """Which neurons a training row keeps, ``[row, layer, neuron]`` of 0 and 1.

    Planted neurons of the row's own language are always kept. Those of another language go
    together, so that the model learns to do without them; ordinary neurons go one by one, so that
    no handful of them is indispensable.
    """
    rows, (count, layers, width) = len(languages), mask.shape
    foreign = torch.rand(rows, count, generator=generator) < config.foreign_dropout
    foreign[torch.arange(rows), languages] = False
    dropped = (foreign[:, :, None, None] & mask[None]).any(1)
    chance = torch.rand(rows, layers, width, generator=generator)
    dropped |= (chance < config.ordinary_dropout) & ~mask.any(0)
    return (~dropped).float()


@dataclass
class GateTap:
    """What the hooks of ``tap_gates`` collect and apply during one training step."""

    gates: list[Tensor] = field(default_factory=list)
    """Gate pre-activations of the last forward pass, a layer each ``[row, position, neuron]``."""
    keep: Tensor | None = None
    """Factors on the activations, ``[row, layer, neuron]``; None leaves them alone."""


@contextmanager
def tap_gates(model: LlamaForCausalLM) -> Iterator[GateTap]:
    """Collect gate pre-activations of a Llama model and multiply its activations by ``keep``."""
    tap = GateTap()
    handles = []

    def collect(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        tap.gates.append(output)

    def factor(layer: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        def apply(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return output if tap.keep is None else output * tap.keep[:, None, layer]

        return apply

    try:
        for layer, block in enumerate(model.model.layers):
            handles.append(block.mlp.gate_proj.register_forward_hook(collect))
            handles.append(block.mlp.act_fn.register_forward_hook(factor(layer)))
        yield tap
    finally:
        for handle in handles:
            handle.remove()
